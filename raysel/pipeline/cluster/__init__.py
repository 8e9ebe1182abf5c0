"""The connection to Ray: joining a cluster or starting a local one, its settings, its token, and its errors."""

from raysel.pipeline.cluster.connection import Cluster, Connection, cluster_now, connected

__all__ = ["Cluster", "Connection", "cluster_now", "connected"]
