"""A first index from real photographs and a real network, both out of packages that pip installs."""
