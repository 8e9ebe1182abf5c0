"""What neurons are compared by, of all neurons of an index at once: their images, their classes, their features.

Each is read once and kept while the index is open. `similarity` compares one neuron with all; `principal_axes` places
all on a plane.
"""
