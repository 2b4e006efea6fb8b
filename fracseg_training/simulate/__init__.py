"""Fractures simulated in the CT of an intact bone, with their exact fragment labels."""
