"""What images are labeled, and what the labels mean.

Labels come from a table or a list beside the images; class names and WordNet ids from the ImageNet-1k table in this
folder or from the user's own file.
"""
