"""The routes of the application: pages, what pages load, and the JSON API, each as a router over a catalog.

A route finds the index and the neuron of its address, asks `views` or `raysel.query`, and renders. `answers` has what
they share.
"""
