# SPDX-License-Identifier: Apache-2.0
"""The time that a message takes when ports are blocked: Mailboat beside clients
that are set to 587, in network namespaces of their own. A client that has
neither succeeded nor given up after PATIENCE_S seconds is stopped."""
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from mailboat import ROOT, make_certificates
from networks import networks

PATIENCE_S, TIMES = 10, 5
HOST, USER, PASSWORD = "mail.example.test", "ada@example.test", "secret-of-ada"
CASES = [("open", []), ("587 dropped", [587]), ("587 and 2525 dropped", [587, 2525])]

SMTPLIB = f"""
import smtplib, ssl, sys
with smtplib.SMTP("{HOST}", 587) as s:
    s.starttls(context=ssl.create_default_context(cafile=sys.argv[1]))
    s.login("{USER}", "{PASSWORD}")
    s.sendmail("{USER}", ["{USER}"], "Subject: bench\\r\\nFrom: {USER}\\r\\n\\r\\nhello\\r\\n")
"""
GREETING = f"""
import socket, time
with socket.create_connection(("{HOST}", 587), {PATIENCE_S}) as s:
    begun = time.monotonic()
    s.recv(1000)
    print((time.monotonic() - begun) * 1000)
"""
PHPMAILER = f"""<?php
require "/usr/share/php/libphp-phpmailer/autoload.php";
$m = new PHPMailer\\PHPMailer\\PHPMailer(true);
$m->isSMTP(); $m->Host = "{HOST}"; $m->Port = 587; $m->SMTPAuth = true; $m->Username = "{USER}"; $m->Password = "{PASSWORD}";
$m->SMTPSecure = "tls"; $m->SMTPOptions = ["ssl" => ["cafile" => $argv[1]]];
$m->setFrom("{USER}"); $m->addAddress("{USER}"); $m->Subject = "bench"; $m->Body = "hello"; $m->send();
"""
NODEMAILER = f"""
require("nodemailer").createTransport({{host: "{HOST}", port: 587, requireTLS: true, auth: {{user: "{USER}", pass: "{PASSWORD}"}},
  tls: {{ca: require("fs").readFileSync(process.argv[2])}}}}).sendMail({{from: "{USER}", to: "{USER}", subject: "bench", text: "hello"}})
  .then(() => process.exit(0), () => process.exit(1));
"""


def clients(folder, ca):
    """Returns name -> command (standard input: a message)."""
    (folder / "by_smtplib.py").write_text(SMTPLIB)
    (folder / "phpmailer.php").write_text(PHPMAILER)
    (folder / "nodemailer.js").write_text(NODEMAILER)
    found = {"curl": ["curl", "-sS", "--ssl-reqd", "--cacert", ca, "--url", f"smtp://{HOST}:587", "--user", f"{USER}:{PASSWORD}", "--mail-from", USER,
                      "--mail-rcpt", USER, "--upload-file", "-"],
             "msmtp": ["msmtp", f"--host={HOST}", "--port=587", "--tls=on", f"--tls-trust-file={ca}", "--auth=plain", f"--user={USER}",
                       f"--passwordeval=cat {folder}/password", f"--from={USER}", USER],
             "Python smtplib": [sys.executable, folder / "by_smtplib.py", ca]}
    if shutil.which("php") and Path("/usr/share/php/libphp-phpmailer/autoload.php").exists():
        found["PHPMailer"] = ["php", folder / "phpmailer.php", ca]
    modules = ROOT / "build-peers/node/node_modules"  # the tests' own copy
    if not (modules / "nodemailer").is_dir() and shutil.which("npm"):
        modules.parent.mkdir(parents=True, exist_ok=True)
        (modules.parent / "package.json").write_text('{"private": true}\n')
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "nodemailer@6"], cwd=modules.parent, capture_output=True, timeout=60)
    if (modules / "nodemailer").is_dir():
        found["nodemailer"] = ["env", f"NODE_PATH={modules}", "node", folder / "nodemailer.js", ca]
    return found


def mailboat_ms(net, folder, ca, home):
    started = time.monotonic()
    done = net.cli("send", "--host", HOST, "--user", USER, "--password-file", folder / "password", "--ca-file", ca, "--from", USER, "--to", USER,
                   "--subject", "bench", "--body", "hello", home=home)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return (time.monotonic() - started) * 1000


def another(net, command):
    """Returns milliseconds, or words if the client failed or was stopped."""
    started = time.monotonic()
    process = subprocess.Popen(["ip", "netns", "exec", net.client, *map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.communicate(f"Subject: bench\r\nFrom: {USER}\r\n\r\nhello\r\n".encode(), PATIENCE_S)
    except subprocess.TimeoutExpired:
        return f"nothing in {PATIENCE_S} s"
    finally:
        process.kill()
        process.wait()
    took_s = time.monotonic() - started
    return took_s * 1000 if process.returncode == 0 else f"fails after {took_s:.1f} s"


def measure_others(figures, net, case, blocked, commands):
    """Runs the clients one after the other where no port is blocked, and concurrently where they only wait."""
    found = {}
    threads = [threading.Thread(target=lambda name=name: found.update({name: another(net, commands[name])})) for name in commands]
    for thread in threads:
        thread.start()
        if not blocked:
            thread.join()
    for thread in threads:
        thread.join()
    for name in commands:
        figures.add("failover", case, "until accepted", "ms", name, found[name])


def greeting_ms(net):
    """Returns the time from the connection to the server's greeting on 587."""
    done = subprocess.run(["ip", "netns", "exec", net.client, sys.executable, "-c", GREETING], capture_output=True, text=True, timeout=PATIENCE_S)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[-1:])
    return float(done.stdout)


def measure(figures, folder, say, clock):
    (folder / "tls").mkdir(parents=True)
    (folder / "password").write_text(PASSWORD + "\n")
    make_certificates(folder / "tls", HOST)
    ca = folder / "tls/ca.pem"
    with networks(folder / "net") as net:
        server = net.mailboat(folder / "server", folder / "tls")
        try:
            server.start()
            server.add_user(USER, PASSWORD)
            for _ in range(TIMES):
                figures.add("failover", "open", "until the greeting", "ms", "server", greeting_ms(net))
            for case, blocked in CASES:
                clock.patience()
                say(f"failover: {case}")
                net.clear()
                net.drop(*blocked)
                knows = folder / f"knows{len(blocked)}"
                mailboat_ms(net, folder, ca, knows)
                for time_ in range(TIMES):
                    figures.add("failover", case, "until accepted", "ms", "mailboat", mailboat_ms(net, folder, ca, folder / f"new{len(blocked)}-{time_}"))
                    figures.add("failover", case, "until accepted", "ms", "mailboat, the port remembered", mailboat_ms(net, folder, ca, knows))
                measure_others(figures, net, case, blocked, clients(folder, ca))
        finally:
            server.stop()
