# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a Mailboat of their own on loopback, its
log as something to wait on, and the peers that others wrote."""
import shutil
import signal
import subprocess

import pytest

from mailboat import ROOT, Mailboat, make_certificates
from plain_peer import Peer

signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, and our children would inherit that


def pytest_addoption(parser):
    parser.addoption("--write-clients-table", action="store_true", help="write docs/clients.md")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A CA of the tests' own and a certificate for localhost."""
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def mailboat(tmp_path, certificates):
    """Starts servers; each is stopped at the end of the test."""
    running = []

    def start(**options):
        server = Mailboat(tmp_path / f"server{len(running)}", certificates, **options)
        running.append(server)
        return server.start()

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def peer():
    """A server of another domain, which does as it is told; away_to(peer.port) sends mail there."""
    it = Peer()
    yield it
    it.close()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory, certificates):
    """One server with the user ada@example.org for the tests that only send to it."""
    server = Mailboat(tmp_path_factory.mktemp("shared"), certificates).start()
    server.add_user("ada@example.org", "secret-of-ada")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def nodemailer():
    """nodemailer from the npm registry, in a folder of the tests' own."""
    folder, partial = ROOT / "build-peers" / "node", ROOT / "build-peers" / "node.partial"
    if not (folder / "node_modules" / "nodemailer").is_dir():
        for left in (folder, partial):
            shutil.rmtree(left, ignore_errors=True)
        partial.mkdir(parents=True)
        (partial / "package.json").write_text('{"private": true}\n')
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", "nodemailer@6"], cwd=partial, timeout=300)
        if done.returncode != 0:
            pytest.skip("nodemailer cannot be fetched: the npm registry is out of reach")
        partial.rename(folder)
    return folder


def pytest_configure(config):
    config.client_reports = []


def pytest_collection_modifyitems(config, items):
    """For the table: what clients do, and nothing else."""
    if config.getoption("--write-clients-table"):
        import clients_table
        items[:] = [item for item in items if item.originalname in clients_table.CLIENTS]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" or report.outcome != "passed":
        item.config.client_reports.append((item.originalname, item.name.partition("[")[2].rstrip("]").split("-"), report.outcome))


def pytest_sessionfinish(session):
    if session.config.getoption("--write-clients-table"):
        import clients_table
        clients_table.write([report for report in session.config.client_reports if report[0] in clients_table.CLIENTS])
