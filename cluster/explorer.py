"""The explorer as a Ray Serve application, for ``rayservice.yaml``.

``import_path: cluster.explorer:application``, with ``args: {indexes: [s3://bucket/index]}``.
"""

from typing import Any

from ray import serve


def application(args: dict[str, Any]) -> serve.Application:
    """The explorer over some indexes.

    Args:
        args: ``indexes``: paths or URIs of indexes, or ``NAME=PLACE``. ``hosts``: names by which visitors reach the
            service; by default any. ``token``: what visitors must know; by default nothing.
    """
    indexes, hosts, token = list(args["indexes"]), list(args.get("hosts", ["*"])), args.get("token")

    def build() -> Any:
        from raysel.explorer.app import create_app

        return create_app(indexes, token=token, hosts=hosts)

    return serve.deployment(serve.ingress(build)()).bind()
