"""Speed of the methods on phantoms: recovery, prediction and whole cases against targets."""
