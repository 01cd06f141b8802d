"""The scripts of dev/ as modules: their names have no ending."""

import importlib.machinery
import importlib.util
import pathlib
import sys

DEV = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(DEV))


def script(name):
    loader = importlib.machinery.SourceFileLoader(f"script_{name.replace('-', '_')}", str(DEV / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    # Dataclasses look their module up.
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module
