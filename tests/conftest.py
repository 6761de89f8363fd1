"""Fixtures that several test packages use."""

import gc
import os
from pathlib import Path

import pytest
import torch
from browser import BROWSERS, find_browser
from hypothesis import HealthCheck, settings

# Few examples, always the same, in the suite; `tests/stress/run.py properties` draws many.
_FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
settings.register_profile("suite", max_examples=25, deadline=None, derandomize=True, suppress_health_check=_FIXTURES)
settings.register_profile("stress", max_examples=1000, deadline=None, suppress_health_check=_FIXTURES)
settings.load_profile("suite")

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # Triton reads it when it is imported; its kernels then run here


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Leave all that is imported out of garbage collections: half a million objects, seen again by every full one."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


LONGEST = (
    "tests/batch/test_ray_cluster.py",
    "tests/docs/test_code_blocks.py",
    "tests/export",
    "tests/arch/test_compile.py",
    "tests/scan/test_triton_scan.py",
    "tests/demo/test_demo_page.py",
    "tests/scan/test_modulated.py",
    "tests/cli/test_export_commands.py",
    "tests/test_determinism.py",
    "tests/training/test_launch.py",
    "tests/docs/test_site.py",
    "tests/release/test_dist.py",
)
"""What takes tens of seconds, longest first; a folder whose files share what takes long to make is in one piece."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each worker a file at a time, the longest first, so that none is at work alone in the end.

    By default tests are dealt out one by one, and every worker makes every fixture of a file or of the session.
    """
    if config.option.dist != "load":  # another one was asked for
        return None
    from xdist.scheduler import LoadFileScheduling

    class LongestFirst(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return next(
                (name for name in LONGEST if nodeid.startswith((f"{name}/", f"{name}::"))), nodeid.split("::")[0]
            )

        def _assign_work_unit(self, node):
            first = next((name for name in LONGEST if name in self.workqueue), None)
            if first is not None:
                self.workqueue.move_to_end(first, last=False)
            super()._assign_work_unit(node)

    return LongestFirst(config, log)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Parity data and test images, where a checkout has them."""
    folder = os.environ.get("LSM_SHARED")
    if not folder:
        pytest.skip("LSM_SHARED is not set: the parity fixtures and the test images are not part of the repository")
    return Path(folder)


@pytest.fixture(scope="session")
def browser():
    """A Chromium that the system has; its pages wait two minutes, since a busy machine starts a server slowly."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright (extra `dev`) is not installed")
    path = find_browser()
    if path is None:
        pytest.skip(f"no browser is installed ({', '.join(BROWSERS)})")
    with playwright.sync_playwright() as driver:
        instance = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        open_page = instance.new_page

        def patient_page(**options):
            page = open_page(**options)
            page.set_default_timeout(120_000)
            return page

        instance.new_page = patient_page
        yield instance
        instance.close()
