"""What mongodb.sh does in Python. The user is `admin`; PASSWORD comes by the environment, since anybody may read a command line.

serve PORT FOLDER  SecantusDB in the foreground; with a PASSWORD, its user is made, or given this password, before
initiate PORT      a starting mongod's replica set of one node, and its user
ready PORT         succeeds when clients can write
"""

import os
import signal
import sys
import time

from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

USER = "admin"
ALREADY_INITIALIZED = 23
UNAUTHORIZED = 13  # the user is there: MongoDB lets nobody in without it any more
WAIT_SECONDS = 60
# What a client that died in the middle of a transaction has locked stays so for this long; mongodb.sh tells mongod the same.
TRANSACTION_SECONDS = 15


def connect(port, **options):
    # Directly: a server that is no member of a replica set yet would be waited for otherwise.
    return MongoClient("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=2_000, socketTimeoutMS=2_000, **options)


def set_user(client, password):
    try:
        client.admin.command("createUser", USER, pwd=password, roles=["root"])
    except OperationFailure as error:
        if error.code == UNAUTHORIZED:
            return
        client.admin.command("updateUser", USER, pwd=password)


def serve(port, folder):
    # Not by its own command, which has no setting for the length of transactions.
    from secantus import SecantusDBServer

    password = os.environ.pop("PASSWORD", "")
    if password:
        # A user is made while nobody has to be one. The port is a random one on loopback, for a moment.
        with SecantusDBServer(storage_path=folder, sync_on_commit=True) as server, connect(server.port) as client:
            set_user(client, password)
    server = SecantusDBServer(
        port=port,
        storage_path=folder,
        replica_set_name="rs0",
        require_auth=bool(password),
        enable_test_commands=False,
        cache_size=os.environ["CACHE_MB"] + "M",
        sync_on_commit=True,
        transaction_lifetime_seconds=TRANSACTION_SECONDS,
    )

    def end(*_):
        server.stop()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    server.start()
    server.wait()


def is_primary(client):
    return client.admin.command("hello").get("isWritablePrimary", False)


def initiate(port):
    until = time.monotonic() + WAIT_SECONDS
    with connect(port) as client:
        while time.monotonic() < until:
            try:
                if is_primary(client):
                    if os.environ["PASSWORD"]:
                        set_user(client, os.environ["PASSWORD"])
                    return
                members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
                client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
            except AutoReconnect:
                pass  # it starts
            except OperationFailure as error:
                if error.code not in (ALREADY_INITIALIZED, UNAUTHORIZED):
                    raise
            time.sleep(0.1)
    sys.exit("mongodb: mongod did not become primary; its log is above")


def ready(port):
    password = os.environ["PASSWORD"]
    options = {"username": USER, "password": password} if password else {}
    try:
        with connect(port, **options) as client:
            client.admin.command("ping")
            sys.exit(0 if is_primary(client) else 1)
    except PyMongoError:
        sys.exit(1)


command, port, *rest = sys.argv[1:]
{"serve": serve, "initiate": initiate, "ready": ready}[command](int(port), *rest)
