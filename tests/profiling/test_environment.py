import json

import torch

from lsm.profiling.code_hash import code_hash
from lsm.profiling.environment import describe_environment


def test_the_environment_is_plain_data():
    about = describe_environment(torch.device("cpu"), "lsm.benchmark.evaluate")
    assert json.loads(json.dumps(about)) == about
    assert about["torch"] == torch.__version__ and about["cpu"] and about["gpu"] is None
    assert about["code"] == code_hash("lsm.benchmark.evaluate")
    assert "code" not in describe_environment(torch.device("cpu"))
