"""One frozen value per method from a bone crop to fragments, and the tuple that lists them."""
