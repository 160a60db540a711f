# SPDX-License-Identifier: Apache-2.0
"""Fixtures that all end-to-end tests share: a Mailboat server on loopback, whose log tests can wait for, and
peers from other projects."""
import contextlib
import signal
from pathlib import Path

import pytest

from mailboat import WORKERS, Mailboat, make_certificates
from peers import npm_unpacked
from plain_peer import Peer
from turns import Turns

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it, and children would inherit that


# Files that take half a minute or more (pytest --durations=0). With several workers each file runs in one
# worker: the longest come first, so that all end together.
LONGEST = ["test_auth", "test_verifiers", "test_find_port", "test_admission_control", "test_root_files", "test_build", "test_accounts_cli",
           "test_secrets", "test_handshakes", "test_life", "test_big_aliases", "test_sendmail", "test_attacks_client",
           "test_quotas", "test_mailboxes", "test_starttls_fallback", "test_encodings", "test_other_programs", "test_attacks",
           "test_accounts_for_life", "test_proxy", "test_web", "test_tls_policy", "test_signed_out", "test_faults",
           "test_verbs", "test_power_loss"]


def pytest_addoption(parser):
    parser.addoption("--write-clients-table", action="store_true", help="write docs/clients.md")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A CA for the tests and a certificate for localhost."""
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
    """A server of another domain whose replies the test sets; away_to(peer.port) routes mail there."""
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
    folder = npm_unpacked("node", "nodemailer@6")
    if folder is None:
        pytest.skip("nodemailer cannot be fetched: the npm registry is out of reach")
    return folder


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: measures a server under load, its time or its memory: "
                            "no other test runs meanwhile")
    config.client_reports = []
    config.turns = Turns(Path(config.option.basetemp).parent) if WORKERS > 1 else None


def pytest_collection_modifyitems(config, items):
    """With --write-clients-table, keeps only the tests of clients. With several workers, sorts the longest
    files first so that all workers end together, and puts files that run alone at the end, when no other test
    waits for them."""
    if config.getoption("--write-clients-table"):
        import clients_table
        items[:] = [item for item in items if item.originalname in clients_table.CLIENTS]
    if config.turns:
        alone = {item.path for item in items} - {item.path for item in items if not is_alone(item)}
        place = {name: at for at, name in enumerate(LONGEST)}
        assert all(Path(__file__).with_name(f"{name}.py").exists() for name in LONGEST), "one has a new name"
        items.sort(key=lambda item: (item.path in alone, place.get(item.path.stem, len(LONGEST))))


def is_alone(item):
    return item.get_closest_marker("alone") is not None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    with item.config.turns.take(is_alone(item)) if item.config.turns else contextlib.nullcontext():
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" or report.outcome != "passed":
        item.config.client_reports.append((item.originalname, item.name.partition("[")[2].rstrip("]").split("-"), report.outcome))


def pytest_sessionfinish(session):
    if session.config.getoption("--write-clients-table"):
        import clients_table
        clients_table.write([report for report in session.config.client_reports if report[0] in clients_table.CLIENTS])
