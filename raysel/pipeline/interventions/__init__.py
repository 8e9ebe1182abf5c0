"""Interventions on a cluster: the images of all rankings are changed, and run again in actors.

`jobs` says what there is to do, `responses` runs the network without Ray, and `rerun` has the actors and the results.
"""
