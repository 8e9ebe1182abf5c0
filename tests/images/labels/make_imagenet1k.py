"""Makes raysel/images/labels/imagenet1k.json: ``python -m tests.images.labels.make_imagenet1k ASSETS``.

From the WordNet closure and the class list in the assets: wnid, words, hypernyms; no glosses.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import raysel.images.labels


def imagenet1k(assets: Path) -> str:
    """The file's text: ``classes`` in order of index, [wnid, name]; ``synsets``: wnid -> [words, hypernyms]."""
    closure = json.loads((assets / "wordnet" / "imagenet_wordnet30_closure.json").read_text())
    classes = json.loads((assets / "wordnet" / "imagenet1k_classes.json").read_text())
    content = {
        "classes": [[entry["wnid"], entry["name"]] for entry in sorted(classes, key=lambda entry: entry["index"])],
        "synsets": {
            wnid: [", ".join(synset["words"]).replace("_", " "), synset["hypernyms"]]
            for wnid, synset in sorted(closure.items())
        },
    }
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False) + "\n"


if __name__ == "__main__":
    target = Path(raysel.images.labels.__file__).with_name("imagenet1k.json")
    target.write_text(imagenet1k(Path(sys.argv[1])))
