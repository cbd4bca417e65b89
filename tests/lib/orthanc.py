#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's Orthanc with everything it stores in one folder.

orthanc.py upload STORAGE WORK FILE..  start it, upload the files, read each
                                       back and compare, stop it
orthanc.py again STORAGE WORK          start it again, read all studies back
                                       and compare with what was uploaded
orthanc.py promise STORAGE WORK FILE.. start it, upload until it fails, and note
                                       in WORK what it said it had stored
orthanc.py kept STORAGE WORK           start it again: is all of that there,
                                       bit for bit, and everything readable?

Orthanc runs from a configuration made in WORK, answers this machine alone,
loads no plugins and opens no DICOM port. The last line that is printed sums
up; the exit status is 1 if anything came back different.
"""

import hashlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

server = None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Orthanc:
    """The server, from the with statement to its end."""

    def __init__(self, storage, work, overwrite=True):
        self.port = free_port()
        self.log = open(os.path.join(work, "orthanc.log"), "ab")
        self.config = os.path.join(work, "orthanc.json")
        with open(self.config, "w") as f:
            json.dump({
                "Name": "chaosimg",
                "StorageDirectory": storage,
                "IndexDirectory": storage,
                "HttpPort": self.port,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
                "DicomServerEnabled": False,
                "Plugins": [],
                "OverwriteInstances": overwrite,
                "SyncStorageArea": True,
            }, f)
        program = shutil.which("Orthanc", path=os.environ["PATH"] +
                               ":/usr/sbin:/usr/local/sbin")
        self.process = subprocess.Popen(
            [program or "Orthanc", self.config], stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log)

    def __enter__(self):
        global server
        server = self
        for _ in range(600):
            try:
                self.get("/system")
                return self
            except (urllib.error.URLError, ConnectionError):
                if self.process.poll() is not None:
                    sys.exit("Orthanc ended at once: see its log")
                time.sleep(0.1)
        sys.exit("Orthanc does not answer")

    def __exit__(self, *_):
        global server
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        server = None
        self.log.close()

    def request(self, path, data=None):
        r = urllib.request.Request("http://127.0.0.1:%d%s" % (self.port, path),
                                   data=data)
        with urllib.request.urlopen(r, timeout=60) as answer:
            return answer.read()

    def get(self, path):
        return self.request(path)

    def get_json(self, path):
        return json.loads(self.request(path))


def upload(orthanc, work, files):
    """Upload, read back at once, compare; remember what was uploaded."""
    known, refused, different, times = {}, [], 0, []
    for path in files:
        with open(path, "rb") as f:
            data = f.read()
        start = time.perf_counter()
        try:
            answer = json.loads(orthanc.request("/instances", data))
        except urllib.error.HTTPError:
            refused.append(os.path.basename(path))
            continue
        back = orthanc.get("/instances/%s/file" % answer["ID"])
        times.append(time.perf_counter() - start)
        if back != data:
            print("different:", path)
            different += 1
        known[answer["ID"]] = hashlib.sha256(data).hexdigest()
    with open(os.path.join(work, "uploaded.json"), "w") as f:
        json.dump(known, f)
    for name in refused:
        print("refused by Orthanc:", name)
    times = times or [0.0]
    print("%d uploaded, %d refused, %d different; there and back in "
          "%.1f ms (median), %.1f ms (worst)" %
          (len(times), len(refused), different,
           1e3 * statistics.median(times), 1e3 * max(times)))
    return different == 0 and len(known) > 0


def again(orthanc, work):
    """Every study that the index knows, instance by instance."""
    with open(os.path.join(work, "uploaded.json")) as f:
        known = json.load(f)
    different = 0
    studies = orthanc.get_json("/studies")
    for study in studies:
        for instance in orthanc.get_json("/studies/%s/instances" % study):
            data = orthanc.get("/instances/%s/file" % instance["ID"])
            want = known.pop(instance["ID"], None)
            if hashlib.sha256(data).hexdigest() != want:
                print("different:", instance["ID"])
                different += 1
    print("%d studies read back, %d instances different, %d missing" %
          (len(studies), different, len(known)))
    return different == 0 and not known and len(studies) > 0


# Orthanc does not sync its index with each image, but every ten seconds.
FLUSHED = 13


def promise(orthanc, storage, work, files):
    """Each line is written when Orthanc has answered."""
    with open(os.path.join(work, "promised"), "a") as notes:
        notes.write("round\n")
        for number, path in enumerate(files):
            if number == len(files) // 3:
                time.sleep(FLUSHED)
                notes.write("settled\n")
                notes.flush()
            with open(path, "rb") as f:
                data = f.read()
            try:
                answer = json.loads(orthanc.request("/instances", data))
            except urllib.error.HTTPError:
                # What is no image is refused; when the disk is gone, stop.
                if os.access(storage, os.F_OK):
                    continue
                return False
            except (urllib.error.URLError, OSError):
                return False
            notes.write("%s %s\n" % (answer["ID"],
                                     hashlib.sha256(data).hexdigest()))
            notes.flush()
    return True


def read_promises(work):
    """What images there may be of each, and which the index has to know."""
    sums, settled, current = {}, set(), set()
    with open(os.path.join(work, "promised")) as f:
        for line in f:
            if line == "round\n":
                current = set()
                continue
            if line == "settled\n":
                settled |= current
                continue
            instance, digest = line.split()
            sums.setdefault(instance, set()).add(digest)
            current.add(instance)
    return sums, settled


def stored_sums(storage):
    found = set()
    for where, _, names in os.walk(storage):
        for name in names:
            with open(os.path.join(where, name), "rb") as f:
                found.add(hashlib.sha256(f.read()).hexdigest())
    return found


def kept(orthanc, storage, work):
    """What the index knows can be read; of the rest, the images are there."""
    sums, settled = read_promises(work)
    known = set(orthanc.get_json("/instances"))
    files = stored_sums(storage)
    bad = {i: "not in the index" for i in settled - known}
    for instance in sums:
        if not sums[instance] & files:
            bad[instance] = "not stored"
    for instance in known:
        try:
            data = orthanc.get("/instances/%s/file" % instance)
        except urllib.error.HTTPError:
            bad[instance] = "unreadable"
            continue
        digest = hashlib.sha256(data).hexdigest()
        if instance in sums and digest not in sums[instance]:
            bad[instance] = "different"
    for instance, why in bad.items():
        print(instance, why)
    print("%d promised, %d of them long before; the index knows %d; %d are wrong"
          % (len(sums), len(settled), len(known), len(bad)))
    return not bad


def stop(*_):
    # Not terminate() and wait(): the main thread may hold their lock.
    if server and server.process.returncode is None:
        os.kill(server.process.pid, signal.SIGTERM)
        for _ in range(300):
            if os.waitpid(server.process.pid, os.WNOHANG)[0]:
                break
            time.sleep(0.1)
    os._exit(1)


def main():
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if len(sys.argv) > 4 and sys.argv[1] == "upload":
        with Orthanc(sys.argv[2], sys.argv[3]) as orthanc:
            good = upload(orthanc, sys.argv[3], sys.argv[4:])
    elif len(sys.argv) == 4 and sys.argv[1] == "again":
        with Orthanc(sys.argv[2], sys.argv[3]) as orthanc:
            good = again(orthanc, sys.argv[3])
    elif len(sys.argv) > 4 and sys.argv[1] == "promise":
        # Overwriting removes the older image at once, but not from the index.
        with Orthanc(sys.argv[2], sys.argv[3], False) as orthanc:
            good = promise(orthanc, sys.argv[2], sys.argv[3], sys.argv[4:])
    elif len(sys.argv) == 4 and sys.argv[1] == "kept":
        with Orthanc(sys.argv[2], sys.argv[3], False) as orthanc:
            good = kept(orthanc, sys.argv[2], sys.argv[3])
    else:
        sys.exit("usage: orthanc.py upload|promise STORAGE WORK FILE.. | "
                 "again|kept STORAGE WORK")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
