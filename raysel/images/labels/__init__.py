"""How images are labeled, and what the labels mean.

Labels come from a table or a list beside the images. Class names and WordNet ids come from the ImageNet-1k table in
this folder or from the user's own file.
"""
