# SPDX-License-Identifier: Apache-2.0
"""tools/build on a small project: a build folder that is older than the packages, the options, the tree or
the compiler, or that is incomplete, is configured again; compiled files are not deleted without need."""
import os
import shutil
import subprocess

import pytest

from mailboat import ROOT

MESON_BUILD = """project('small', 'c')
fuse = dependency('arrives-later', required: false)
if fuse.found()
  executable('extra', 'small.c', build_by_default: false)
endif
executable('small', 'small.c')
"""


class Project:
    def __init__(self, folder):
        self.folder, self.bin = folder, folder / "bin"

    def make(self):
        folder = self.folder
        (folder / "tools").mkdir(parents=True)
        shutil.copy(ROOT / "tools" / "build", folder / "tools" / "build")
        (folder / "tools" / "packages-build.txt").write_text("# what it takes\nsome-package\n")
        (folder / "meson_options.txt").write_text("option('extra', type: 'boolean', value: false)\n")
        (folder / "meson.build").write_text(MESON_BUILD)
        (folder / "small.c").write_text("int main(void) { return 0; }\n")
        self.bin.mkdir()
        self.installed("some-package 1.0")
        return self

    def installed(self, *lines):
        """Sets the output of dpkg-query."""
        program = self.bin / "dpkg-query"
        program.write_text("#!/bin/sh\ncat <<.\n" + "\n".join(lines) + "\n.\n")
        program.chmod(0o755)

    def arrives(self):
        """Installs the package that the optional target needs."""
        (self.folder / "pc").mkdir(exist_ok=True)
        (self.folder / "pc" / "arrives-later.pc").write_text("Name: arrives-later\nDescription: late\nVersion: 1\n")
        self.installed("some-package 1.0", "libarrives-dev 1.0")

    def build(self, *arguments, environment=None):
        env = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", "PKG_CONFIG_PATH": str(self.folder / "pc"),
               "CCACHE_DISABLE": "1", **(environment or {})}
        return subprocess.run([str(self.folder / "tools" / "build"), "build", *arguments], cwd=self.folder, env=env,
                              capture_output=True, text=True, timeout=120)

    def built(self, name="small"):
        path = self.folder / "build" / name
        return path.stat().st_mtime_ns if path.exists() else None


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder for the project of one test after the other: a build folder records the path of its tree."""
    return tmp_path_factory.mktemp("place") / "project"


@pytest.fixture(scope="module")
def template(place, tmp_path_factory):
    """A copy of the project, built once: a tree that was never built takes seconds to configure."""
    assert Project(place).make().build("small").returncode == 0
    return shutil.move(place, tmp_path_factory.mktemp("template") / "project")


@pytest.fixture
def fresh(place):
    """A project that was never built."""
    yield Project(place).make()
    shutil.rmtree(place)


@pytest.fixture
def project(template, place):
    """A project whose target small is built."""
    subprocess.run(["cp", "-a", template, place], check=True)
    yield Project(place)
    shutil.rmtree(place, ignore_errors=True)  # a test may have moved it


def test_what_is_current_is_left_alone(project):
    first = project.built()
    assert project.build("small").returncode == 0
    assert project.built() == first


def test_packages_that_came_bring_their_targets(project):
    assert project.build("small", "extra").returncode == 65, "it cannot be there yet"
    project.arrives()
    assert project.build("small", "extra").returncode == 0
    assert project.built("extra")


def test_a_target_the_folder_does_not_know_is_looked_for_once_more(project):
    """The package was installed, and the list of packages does not show it."""
    project.arrives()
    project.installed("some-package 1.0")
    assert project.build("extra").returncode == 0


def test_packages_that_went(fresh):
    fresh.arrives()
    assert fresh.build("extra").returncode == 0
    shutil.rmtree(fresh.folder / "pc")
    fresh.installed("some-package 1.0")
    assert fresh.build("small").returncode == 0


@pytest.mark.parametrize("left", ["half", "damaged", "empty", "no-stamp", "stamp-of-no-text", "old-meson"])
def test_what_was_left_half_done(project, left):
    folder = project.folder / "build"
    if left == "half":
        (folder / "build.ninja").unlink()
    elif left == "damaged":
        (folder / "build.ninja").write_text("rule cc\n  command = \n\tnonsense")
    elif left == "empty":
        (folder / "build.ninja").write_text("")
    elif left == "no-stamp":
        (folder / "configured").unlink()
    elif left == "stamp-of-no-text":
        (folder / "configured").write_bytes(b"\xff\xfe\0")
    else:
        (folder / "meson-private" / "coredata.dat").write_bytes(b"from another version")
        os.utime(project.folder / "meson.build")
    assert project.build("small").returncode == 0
    assert project.built()


def test_another_option_and_another_compiler(project):
    assert project.build("-Dextra=true", "small").returncode == 0
    assert "clang" not in (project.folder / "build" / "build.ninja").read_text()
    assert project.build("-Dextra=true", "small", environment={"CC": "clang"}).returncode == 0
    assert "clang" in (project.folder / "build" / "build.ninja").read_text()


def test_a_tree_that_moved(project, tmp_path):
    project.folder.rename(tmp_path / "elsewhere")
    project.folder, project.bin = tmp_path / "elsewhere", tmp_path / "elsewhere" / "bin"
    assert project.build("small").returncode == 0


def test_an_option_of_an_older_version(fresh):
    assert fresh.build("-Dextra=true", "small").returncode == 0
    (fresh.folder / "meson_options.txt").write_text("")
    assert fresh.build("small").returncode == 0


def test_what_fuzzing_found_stays(project):
    kept = project.folder / "build" / "corpus" / "one"
    kept.parent.mkdir()
    kept.write_text("found")
    project.installed("some-package 2.0")
    before = project.built()
    assert project.build("small").returncode == 0
    assert project.built() != before and kept.read_text() == "found"


def test_a_mistake_in_the_code_throws_nothing_away(project):
    stamp = (project.folder / "build" / "configured").stat().st_mtime_ns
    (project.folder / "small.c").write_text("int main(void) { return nothing; }\n")
    done = project.build("small")
    assert done.returncode == 65 and "nothing" in done.stdout
    assert (project.folder / "build" / "configured").stat().st_mtime_ns == stamp


def test_another_folder_is_not_touched(fresh):
    (fresh.folder / "build").mkdir()
    (fresh.folder / "build" / "letters").write_text("mine")
    done = fresh.build("small")
    assert done.returncode == 73 and "not a build folder" in done.stderr
    assert (fresh.folder / "build" / "letters").read_text() == "mine"


def test_a_folder_of_another_user(project):
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder of another user's")
    for path in (project.folder, *project.folder.parents):
        if str(path).startswith("/tmp/"):
            path.chmod(0o755)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(project.folder / "tools" / "build"), "build",
                           "-Dextra=true", "small"], cwd=project.folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 77 and "another user" in done.stderr, done.stderr


def test_two_at_once(fresh):
    both = [subprocess.Popen([str(fresh.folder / "tools" / "build"), "build", "small"], cwd=fresh.folder,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(120) for one in both] == [0, 0]
