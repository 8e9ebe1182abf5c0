"""How images are labeled, and what the labels mean.

Labels come from a table or a list beside the images. Class names, WordNet ids and the hierarchy above the classes come
from the ImageNet-1k table in this folder or from the user's own files.
"""
