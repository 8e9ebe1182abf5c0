"""Runs as jobs of a Ray cluster: submitted over HTTP, followed by their status, and submitted again if they died."""
