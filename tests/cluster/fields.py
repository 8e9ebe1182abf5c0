"""The fields of Kubernetes, KubeRay 1.7 and SkyPilot objects that manifests may use, and a check against them.

A kind is a dictionary of its fields. ``!`` after a name: the field is required. The value is ``str``, ``int``,
``bool``, ``number``, ``quantity``, ``any``, the name of a kind, a set of words, ``[kind]`` for a list or ``{kind}`` for
a map.
"""

from __future__ import annotations

import re
from typing import Any

_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_RESOURCES = {"requests": "{quantity}", "limits": "{quantity}"}
_META = {"name!": "str", "namespace": "str", "labels": "{str}", "annotations": "{str}"}

KINDS: dict[str, dict[str, Any]] = {
    # Kubernetes
    "ConfigMap": {"apiVersion!": {"v1"}, "kind!": {"ConfigMap"}, "metadata!": "Meta", "data": "{str}"},
    "Meta": _META,
    "PodMeta": {name.rstrip("!"): kind for name, kind in _META.items()},
    "Resources": _RESOURCES,
    "PodTemplate": {"metadata": "PodMeta", "spec!": "Pod"},
    "Pod": {
        "containers!": "[Container]",
        "initContainers": "[Container]",
        "volumes": "[Volume]",
        "serviceAccountName": "str",
        "nodeSelector": "{str}",
        "tolerations": "[Toleration]",
        "restartPolicy": {"Always", "OnFailure", "Never"},
        "terminationGracePeriodSeconds": "int",
        "priorityClassName": "str",
    },
    "Container": {
        "name!": "str",
        "image": "str",
        "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
        "command": "[str]",
        "args": "[str]",
        "workingDir": "str",
        "env": "[Env]",
        "ports": "[Port]",
        "resources": "Resources",
        "volumeMounts": "[Mount]",
    },
    "Env": {"name!": "str", "value": "str", "valueFrom": "any"},
    "Port": {"name": "str", "containerPort!": "int", "protocol": {"TCP", "UDP"}},
    "Mount": {"name!": "str", "mountPath!": "str", "readOnly": "bool", "subPath": "str"},
    "Volume": {"name!": "str", "emptyDir": "EmptyDir", "configMap": "ConfigMapVolume", "secret": "any"},
    "EmptyDir": {"medium": {"", "Memory"}, "sizeLimit": "quantity"},
    "ConfigMapVolume": {"name!": "str", "items": "any", "defaultMode": "int", "optional": "bool"},
    "Toleration": {
        "key": "str",
        "operator": {"Exists", "Equal"},
        "value": "str",
        "effect": {"NoSchedule", "PreferNoSchedule", "NoExecute"},
        "tolerationSeconds": "int",
    },
    "CronJob": {"apiVersion!": {"batch/v1"}, "kind!": {"CronJob"}, "metadata!": "Meta", "spec!": "CronJobSpec"},
    "CronJobSpec": {
        "schedule!": "str",
        "timeZone": "str",
        "suspend": "bool",
        "concurrencyPolicy": {"Allow", "Forbid", "Replace"},
        "startingDeadlineSeconds": "int",
        "successfulJobsHistoryLimit": "int",
        "failedJobsHistoryLimit": "int",
        "jobTemplate!": "JobTemplate",
    },
    "JobTemplate": {"metadata": "PodMeta", "spec!": "JobSpec"},
    "JobSpec": {
        "template!": "PodTemplate",
        "backoffLimit": "int",
        "activeDeadlineSeconds": "int",
        "ttlSecondsAfterFinished": "int",
        "completions": "int",
        "parallelism": "int",
    },
    # KubeRay
    "RayJob": {"apiVersion!": {"ray.io/v1"}, "kind!": {"RayJob"}, "metadata!": "Meta", "spec!": "RayJobSpec"},
    "RayJobSpec": {
        "entrypoint": "str",
        "runtimeEnvYAML": "str",
        "jobId": "str",
        "metadata": "{str}",
        "submissionMode": {"K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"},
        "submitterConfig": "SubmitterConfig",
        "submitterPodTemplate": "PodTemplate",
        "entrypointNumCpus": "number",
        "entrypointNumGpus": "number",
        "entrypointResources": "str",
        "backoffLimit": "int",
        "activeDeadlineSeconds": "int",
        "preRunningDeadlineSeconds": "int",
        "ttlSecondsAfterFinished": "int",
        "shutdownAfterJobFinishes": "bool",
        "suspend": "bool",
        "managedBy": "str",
        "deletionStrategy": "any",
        "clusterSelector": "{str}",
        "rayClusterSpec": "RayClusterSpec",
    },
    "SubmitterConfig": {"backoffLimit": "int"},
    "RayService": {
        "apiVersion!": {"ray.io/v1"},
        "kind!": {"RayService"},
        "metadata!": "Meta",
        "spec!": "RayServiceSpec",
    },
    "RayServiceSpec": {
        "serveConfigV2": "str",
        "rayClusterConfig!": "RayClusterSpec",
        "rayClusterDeletionDelaySeconds": "int",
        "serviceUnhealthySecondThreshold": "int",
        "deploymentUnhealthySecondThreshold": "int",
        "serveService": "any",
        "upgradeStrategy": "any",
        "managedBy": "str",
        "excludeHeadPodFromServeSvc": "bool",
        "suspend": "bool",
    },
    "RayClusterSpec": {
        "rayVersion": "str",
        "authOptions": "AuthOptions",
        "enableInTreeAutoscaling": "bool",
        "autoscalerOptions": "AutoscalerOptions",
        "gcsFaultToleranceOptions": "any",
        "headServiceAnnotations": "{str}",
        "headGroupSpec!": "HeadGroup",
        "workerGroupSpecs": "[WorkerGroup]",
        "upgradeStrategy": "any",
        "networkPolicy": "any",
        "tlsOptions": "any",
        "historyServerOptions": "any",
        "managedBy": "str",
        "suspend": "bool",
    },
    "AuthOptions": {"mode": {"disabled", "token"}, "secretName": "str", "enableK8sTokenAuth": "bool"},
    "AutoscalerOptions": {
        "version": {"v1", "v2"},
        "idleTimeoutSeconds": "int",
        "upscalingMode": {"Default", "Aggressive", "Conservative"},
        "image": "str",
        "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
        "resources": "Resources",
        "env": "[Env]",
        "envFrom": "any",
        "volumeMounts": "[Mount]",
        "securityContext": "any",
        "command": "[str]",
        "args": "[str]",
    },
    "HeadGroup": {
        "template!": "PodTemplate",
        "rayStartParams!": "{str}",
        "serviceType": {"ClusterIP", "NodePort", "LoadBalancer"},
        "headService": "any",
        "enableIngress": "bool",
        "ingressOptions": "any",
        "resources": "{str}",
        "labels": "{str}",
    },
    "WorkerGroup": {
        "groupName!": "str",
        "template!": "PodTemplate",
        "rayStartParams!": "{str}",
        "replicas": "int",
        "minReplicas!": "int",
        "maxReplicas!": "int",
        "idleTimeoutSeconds": "int",
        "priority": "int",
        "numOfHosts": "int",
        "scaleStrategy": "any",
        "resources": "{str}",
        "labels": "{str}",
        "suspend": "bool",
    },
    # Ray Serve, in serveConfigV2
    "ServeConfig": {"applications!": "[ServeApplication]", "http_options": "any", "proxy_location": "str"},
    "ServeApplication": {
        "name!": "str",
        "import_path!": "str",
        "route_prefix": "str",
        "args": "any",
        "runtime_env": "any",
        "deployments": "any",
    },
    # SkyPilot
    "SkyTask": {
        "name": "str",
        "workdir": "str",
        "num_nodes": "int",
        "resources": "SkyResources",
        "envs": "{any}",
        "secrets": "{any}",
        "file_mounts": "any",
        "setup": "str",
        "run": "str",
        "config": "any",
        "service": "any",
        "volumes": "any",
    },
    "SkyResources": {
        "infra": "str",
        "cloud": "str",
        "region": "str",
        "zone": "str",
        "accelerators": "any",
        "cpus": "any",
        "memory": "any",
        "instance_type": "str",
        "use_spot": "bool",
        "disk_size": "int",
        "disk_tier": "str",
        "network_tier": "str",
        "ports": "any",
        "image_id": "str",
        "labels": "{str}",
        "autostop": "SkyAutostop",
        "job_recovery": "any",
        "any_of": "[SkyResources]",
        "ordered": "[SkyResources]",
        "max_hourly_cost": "number",
    },
    "SkyAutostop": {"idle_minutes": "int", "down": "bool", "wait_for": "str"},
}

_SIMPLE = {"str": str, "int": int, "bool": bool, "number": (int, float)}


def faults(value: Any, kind: Any, where: str = "") -> list[str]:
    """What is wrong with a value of a kind: one line per fault, with its place."""
    if kind == "any":
        return []
    if isinstance(kind, set):
        return [] if value in kind else [f"{where}: {value!r} is not one of {sorted(kind)}"]
    if kind == "quantity":
        return [] if isinstance(value, str) and _QUANTITY.fullmatch(value) else [f"{where}: {value!r} is no quantity"]
    if kind in _SIMPLE:
        right = isinstance(value, _SIMPLE[kind]) and (kind == "bool" or not isinstance(value, bool))
        return [] if right else [f"{where}: {value!r} is not of type {kind}"]
    if kind[0] == "[":
        if not isinstance(value, list):
            return [f"{where}: {value!r} is not a list"]
        return [fault for place, each in enumerate(value) for fault in faults(each, kind[1:-1], f"{where}[{place}]")]
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is not a table"]
    if kind[0] == "{":
        return [fault for name, each in value.items() for fault in faults(each, kind[1:-1], f"{where}.{name}")]
    known = {name.rstrip("!"): field for name, field in KINDS[kind].items()}
    found = [f"{where}.{name}: {kind} has no such field" for name in value if name not in known]
    needed = [name.rstrip("!") for name in KINDS[kind] if name.endswith("!")]
    found += [f"{where}.{name}: {kind} needs it" for name in needed if name not in value]
    for name, each in value.items():
        found += faults(each, known.get(name, "any"), f"{where}.{name}")
    return found
