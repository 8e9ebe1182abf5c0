"""From rankings to crops, neuron features and indexes: a driver, the task for one chunk of neurons, and its files."""
