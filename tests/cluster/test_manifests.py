"""The files in cluster/: their fields exist, their versions are those that were tested, their commands are raysel's."""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from raysel.cli import app
from raysel.cli.toml import run_config
from raysel.pipeline.operations.run_job import check_for_cluster
from tests.cluster.fields import KINDS, faults
from tests.conftest import ROOT

CLUSTER = ROOT / "cluster"
PINNED = dict(
    line.split("==")
    for line in (CLUSTER / "constraints.txt").read_text().splitlines()
    if "==" in line and line[0] != "#"
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
KUBERNETES = ("rayjob.yaml", "rayservice.yaml", "cronjob.yaml")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((CLUSTER / name).read_text()))


def document(name: str, kind: str) -> dict[str, Any]:
    (found,) = [each for each in documents(name) if each["kind"] == kind]
    return found


def walked(value: Any, key: str) -> list[Any]:
    """The values of a key anywhere in a document."""
    if isinstance(value, list):
        return [found for each in value for found in walked(each, key)]
    if not isinstance(value, dict):
        return []
    own = [value[key]] if key in value else []
    return own + [found for each in value.values() for found in walked(each, key)]


AWS: dict[str, Any] = documents("aws.yaml")[0]
SKY: dict[str, Any] = documents("skypilot.yaml")[0]
JOB = document("rayjob.yaml", "RayJob")["spec"]


@pytest.mark.parametrize("name", KUBERNETES)
def test_every_field_of_a_manifest_exists(name):
    for each in documents(name):
        assert faults(each, each["kind"], each["kind"]) == []


def test_every_field_of_the_sky_task_exists():
    assert faults(SKY, "SkyTask", "task") == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda spec: spec.update(submissionmode="K8sJobMode"), "submissionmode: RayJobSpec has no such field"),
        (lambda spec: spec.update(submissionMode="Job"), "'Job' is not one of"),
        (lambda spec: spec.update(backoffLimit="3"), "'3' is not of type int"),
        (lambda spec: spec["rayClusterSpec"].pop("headGroupSpec"), "headGroupSpec: RayClusterSpec needs it"),
        (lambda spec: spec["rayClusterSpec"]["headGroupSpec"].update(rayStartParams={"num-cpus": 0}), "0 is not of"),
        (lambda spec: spec["rayClusterSpec"]["workerGroupSpecs"][0].update(groupname=""), "groupname: WorkerGroup has"),
    ],
)
def test_a_wrong_field_is_noticed(change, says):
    spec = copy.deepcopy(JOB)
    change(spec)
    (fault,) = faults(spec, "RayJobSpec")
    assert says in fault


def test_every_kind_that_a_field_names_is_there():
    named = {kind.strip("[]{}") for fields in KINDS.values() for kind in fields.values() if isinstance(kind, str)}
    assert named - KINDS.keys() == {"str", "int", "bool", "number", "quantity", "any"}


@pytest.mark.parametrize("name", [*KUBERNETES, "aws.yaml", "skypilot.yaml", "Dockerfile"])
def test_versions_are_those_that_were_tested(name):
    text = (CLUSTER / name).read_text()
    bases = re.findall(r"rayproject/ray:([\d.]+)-py(\d)(\d+)-(\w+)", text)
    assert all(ray == PINNED["ray"] for ray, *_ in bases)
    assert all((int(major), int(minor)) >= (3, 11) for _, major, minor, _ in bases)
    assert set(re.findall(r"YOUR_REGISTRY/raysel:(\S+)", text)) <= {PROJECT["version"]}
    assert set(re.findall(r"rayVersion: (\S+)", text)) <= {PINNED["ray"]}
    assert bases or "YOUR_REGISTRY/raysel" in text


def test_the_dockerfile_copies_what_is_there():
    lines = (CLUSTER / "Dockerfile").read_text().splitlines()
    copied = [name for line in lines if line.startswith("COPY") for name in shlex.split(line)[2:-1]]
    assert all((ROOT / name).exists() for name in copied)
    assert {"raysel", "jobs", "cluster", "pyproject.toml", "README.md", "LICENSE"} <= set(copied)
    (install,) = [line for line in lines if line.startswith("RUN pip install")]
    assert "--constraint cluster/constraints.txt" in install
    extras = re.search(r"\.\[([\w,]+)\]", install)
    assert extras
    assert set(extras[1].split(",")) <= {*PROJECT["optional-dependencies"], "explorer"}


@pytest.mark.parametrize(("name", "whole"), [("rayjob.yaml", True), ("cronjob.yaml", False)])
def test_runs_in_manifests_are_valid(name, whole, tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(document(name, "ConfigMap")["data"]["run.toml"])
    config = run_config({}, file)
    config.check()
    if whole:  # raysel watch names weights and indexes itself
        check_for_cluster(config)


def test_the_run_of_the_launchers_is_valid():
    config = run_config({}, CLUSTER / "run.toml")
    check_for_cluster(config)
    assert config.scan.gpus == AWS["available_node_types"]["gpu"]["min_workers"]
    assert config.scan.gpus == SKY["num_nodes"] * max(SKY["resources"]["accelerators"].values())


def test_the_job_asks_for_the_gpus_that_its_cluster_has():
    gpus = 0
    for group in JOB["rayClusterSpec"]["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        gpus += group["minReplicas"] * int(container["resources"]["limits"].get("nvidia.com/gpu", 0))
    run = tomllib.loads(document("rayjob.yaml", "ConfigMap")["data"]["run.toml"])
    assert gpus == run["scan"]["gpus"]


def test_commands_are_raysels():
    """A mount gives them the file that they name."""
    words = shlex.split(JOB["entrypoint"])
    assert words[0] == "raysel"
    app.parse_args(words[1:])
    (watch,) = walked(document("cronjob.yaml", "CronJob"), "command")
    assert watch[:3] == ["raysel", "watch", "--once"]
    if "watch" in app:
        app.parse_args(watch[1:])
    for command, name, kind in ((words, "rayjob.yaml", "RayJob"), (watch, "cronjob.yaml", "CronJob")):
        (path,) = [Path(word.removeprefix("--config=")) for word in command if word.endswith(".toml")]
        mounts = [mount for found in walked(document(name, kind), "volumeMounts") for mount in found]
        assert str(path.parent) in {mount["mountPath"] for mount in mounts}
        assert path.name in document(name, "ConfigMap")["data"]


@pytest.mark.parametrize("name", KUBERNETES)
def test_mounts_name_volumes_of_their_pod(name):
    pods = [pod["spec"] for each in documents(name) for pod in walked(each, "template")]
    assert pods
    for pod in pods:
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes
            assert container["resources"]["requests"] == container["resources"]["limits"]
    claimed = {found["name"] for each in documents(name) for found in walked(each, "configMap")}
    assert claimed == {each["metadata"]["name"] for each in documents(name) if each["kind"] == "ConfigMap"}


def test_two_cron_jobs_never_run_at_once():
    spec = document("cronjob.yaml", "CronJob")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert re.fullmatch(r"([\d*/,-]+ ){4}[\d*/,-]+", spec["schedule"])


def test_no_work_lands_on_a_head():
    assert JOB["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    types = AWS["available_node_types"]
    assert types[AWS["head_node_type"]]["resources"] == {"CPU": 0}
    spot = {name for name, each in types.items() if "InstanceMarketOptions" in each["node_config"]}
    assert spot == types.keys() - {AWS["head_node_type"]}


def test_clusters_ask_for_a_token():
    specs = [JOB["rayClusterSpec"], document("rayservice.yaml", "RayService")["spec"]["rayClusterConfig"]]
    assert all(spec["authOptions"]["mode"] == "token" for spec in specs)
    assert "--env RAY_AUTH_MODE=token" in AWS["docker"]["run_options"]
    assert "/home/ray/.ray/auth_token" in AWS["file_mounts"]
    assert SKY["envs"]["RAY_AUTH_MODE"] == "token"


def test_the_launcher_s_file_fits_ray_s_schema_and_ec2():
    import jsonschema
    import ray.autoscaler
    from botocore.session import get_session
    from botocore.validate import ParamValidator

    schema = json.loads(Path(ray.autoscaler.__file__).with_name("ray-schema.json").read_text())
    jsonschema.validate(AWS, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**AWS, "max_worker": 3}, schema)
    launch = get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    for name, each in AWS["available_node_types"].items():
        request = {**each["node_config"], "MinCount": 1, "MaxCount": 1}
        report = ParamValidator().validate(request, launch)
        assert not report.has_errors(), f"{name}: {report.generate_report()}"
        assert each.get("max_workers", 0) >= each.get("min_workers", 0)
    assert ParamValidator().validate({"InstanceTyp": "a", "MinCount": 1, "MaxCount": 1}, launch).has_errors()
    assert AWS["max_workers"] == sum(each.get("max_workers", 0) for each in AWS["available_node_types"].values())
    assert AWS["provider"]["availability_zone"].startswith(AWS["provider"]["region"])


def test_the_options_of_ray_start_exist():
    ray = Path(sys.executable).with_name("ray")
    helped = subprocess.run([ray, "start", "--help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^ +(--[\w-]+)", helped, re.MULTILINE))
    commands = [*AWS["head_start_ray_commands"], *AWS["worker_start_ray_commands"], SKY["run"]]
    used = {name for text in commands for part in re.findall(r"ray start ([^;\n]+)", text) for name in _options(part)}
    assert {"--head", "--port", "--object-spilling-directory"} <= used <= known


def _options(text: str) -> list[str]:
    return re.findall(r"(?<!\S)(--[\w-]+)", text.split(" || ")[0])


def test_the_explorer_is_what_the_service_imports():
    text = document("rayservice.yaml", "RayService")["spec"]["serveConfigV2"]
    config = yaml.safe_load(text)
    assert faults(config, "ServeConfig", "serveConfigV2") == []
    (application,) = config["applications"]
    module, _, name = application["import_path"].partition(":")
    code = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    assert f"def {name}(arguments:" in code
    read = set(re.findall(r'arguments(?:\[|\.get\()"(\w+)"', code))
    assert set(application["args"]) <= read


SAYS = '#!/bin/sh\necho "$(basename $0) $*" >> "$SAID"\n'


def _sky(tmp_path: Path, rank: int, ray: str) -> list[str]:
    """What a machine of the SkyPilot cluster calls, with programs that only say what they are asked for."""
    programs = tmp_path / f"bin-{rank}"
    programs.mkdir()
    for name, does in (("ray", ray), ("raysel", ""), ("sleep", "")):
        (programs / name).write_text(f"{SAYS}{does}\n")
        (programs / name).chmod(0o755)
    said = tmp_path / f"said-{rank}"
    environment = {
        **{name: str(value) for name, value in SKY["envs"].items()},
        "PATH": f"{programs}:{os.defpath}",
        "SAID": str(said),
        "SKYPILOT_NODE_RANK": str(rank),
        "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2",
    }
    subprocess.run(["bash", "-c", SKY["run"]], env=environment, check=True, timeout=300)
    return [line for line in said.read_text().splitlines() if not line.startswith("sleep")]


UP_AT_THE_THIRD_LOOK = """
case "$1" in health-check) test "$(grep -c health-check "$SAID")" -ge 3;; esac
"""


def test_the_machines_of_a_sky_cluster_find_each_other(tmp_path):
    look = "ray health-check --address 10.0.0.1:6379"
    assert _sky(tmp_path, 1, UP_AT_THE_THIRD_LOOK) == [look] * 3 + ["ray start --address 10.0.0.1:6379"]
    head = _sky(tmp_path, 0, UP_AT_THE_THIRD_LOOK)
    assert head[:-1] == [look, "ray start --head --port 6379 --dashboard-host 127.0.0.1"]
    assert head[-1] == "raysel index --config cluster/run.toml --address 10.0.0.1:6379"
    app.parse_args(head[-1].split()[1:])


def test_sky_s_own_ray_is_left_alone():
    assert int(SKY["envs"]["RAYSEL_RAY_PORT"]) not in (6380, 8266)
    script = re.sub(r"^\s*#.*$", "", SKY["run"], flags=re.MULTILINE)
    assert "ray stop" not in script
    assert "auto" not in script


def test_no_registry_is_named():
    for path in CLUSTER.iterdir():
        if path.is_file():
            assert not re.search(r"https?://(?!HEAD|127\.0\.0\.1|localhost)", path.read_text()), path
