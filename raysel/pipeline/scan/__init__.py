"""The pass over all images: a driver, the actors that run the network, and what travels between them."""
