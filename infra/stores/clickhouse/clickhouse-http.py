#!/usr/bin/env python3
"""The ClickHouse engine of the Python package chdb-core, behind the part of ClickHouse's HTTP interface that the shop uses.

For machines without Docker, where a ClickHouse server is not to be had: the engine is the current one (MergeTree, materialized
views, deduplication, error codes); what is around it is this file, and not a product. Started by clickhouse.sh.

    CLICKHOUSE_USER, CLICKHOUSE_PASSWORD   the one user there is: `default` without a password, unless they are set
    clickhouse-http.py PORT FOLDER         serves on 127.0.0.1 until SIGTERM or SIGINT, then lets queries end

What it answers (https://clickhouse.com/docs/interfaces/http):
  - GET /ping, without credentials;
  - POST /, and GET / for reading only: the query is the argument `query` followed by the body. The body of
    `?query=INSERT INTO … FORMAT <format>` is its data, of any format. Bodies are sized or chunked, and for queries with
    parameters also forms (multipart/form-data) with the fields `query` and `param_<name>`;
  - the arguments `database`, `default_format`, `query_id` (given back), `param_<name>`; `wait_end_of_query`, which is always
    so; every other one is a setting of the query. Credentials as X-ClickHouse-User and -Key, as basic authentication, or as
    arguments;
  - errors as the server words them, with its HTTP status for the more frequent ones, and X-ClickHouse-Exception-Code;
  - X-ClickHouse-Summary: rows read, and rows written, those of views included.

What it does not, and says so (NOT_IMPLEMENTED): compression, sessions, roles. What is not there at all: other users, the
native protocol, TLS, replication, KILL QUERY. An answer is made as a whole before any of it is sent: so there are no errors
in the middle of one, and it has to fit into memory. An INSERT begins when all its data is there. A query goes on when its
client has gone. Several queries in one are run one after the other, where a server refuses them. Request lines end at 64 KiB
(a server's at 1 MiB). Queries can read the files that the process can (`file`, `INFILE`): the password guards these too.
"""
import base64
import hmac
import itertools
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chdb.state.sqlitelike import Connection

# Arguments that are not settings.
OWN = {'query', 'database', 'default_format', 'query_id', 'user', 'password', 'wait_end_of_query', 'compress', 'decompress'}
REFUSED = {'compress', 'decompress', 'session_id', 'role'}
INSERT = re.compile(r'\s*(INSERT\s+INTO\s.+?)(\sSETTINGS\s.+?)?\s+FORMAT\s+(\w+)[\s;]*', re.I | re.S)
# Of errors that are the client's; all others are 500.
STATUS = {36: 400, 43: 400, 47: 404, 48: 501, 53: 400, 60: 404, 62: 400, 81: 404, 115: 404, 164: 500, 516: 403, 456: 400}
FORM = re.compile(r'multipart/form-data\s*;\s*boundary=(?:"([^"]+)"|([^\s;]+))', re.I)
FIELD = re.compile(rb'content-disposition:\s*form-data;\s*name="(\w+)"', re.I)
# A query as text; only data may be longer.
TEXT_MAX = 16 << 20
# Bodies are read in pieces of this size.
PIECE = 1 << 20
# How long an idle connection is kept, and how long a client may take for the next bytes of its request.
IDLE_SECONDS = 60
# How long queries have to end when the server is asked to.
END_SECONDS = 20


class Refused(Exception):
    """An error of the front's own, worded as the server does."""

    def __init__(self, code, message, name):
        super().__init__(f'Code: {code}. DB::Exception: {message}. ({name})')


class Engine:
    """The engine lives as long as one connection to it. Every query has a connection of its own, and with it its settings."""

    def __init__(self, folder):
        self.folder = folder
        self.kept = Connection(folder)
        self.idle = threading.Condition()
        self.queries = 0
        self.ending = False
        self.version, self.timezone = (
            self.kept.query(f'SELECT {what}()', 'TSV').bytes().decode().strip() for what in ('version', 'timezone'))

    def __enter__(self):
        with self.idle:
            if self.ending:
                raise Refused(210, 'The server is shutting down', 'NETWORK_ERROR')
            self.queries += 1
        return self

    def __exit__(self, *_):
        with self.idle:
            self.queries -= 1
            self.idle.notify_all()

    def end(self):
        with self.idle:
            self.ending = True
            self.idle.wait_for(lambda: self.queries == 0, END_SECONDS)
        self.kept.close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server_version, sys_version = 'emporium-clickhouse-http', ''
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    # So that head and body of an answer are one packet.
    wbufsize = -1

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == '/ping':
            self.answer(200, b'Ok.\n', {})
        else:
            self.do_POST()

    def do_POST(self):
        self.body_read = False
        body = self.body()
        try:
            with self.server.engine as engine:
                self.query(engine, body)
        except (ConnectionError, TimeoutError):  # The client has gone, or is too slow.
            self.close_connection = True
        except ValueError as error:  # Of sizes, UTF-8 and base64.
            self.fail(f'Code: 36. DB::Exception: {error}. (BAD_ARGUMENTS)', body)
        except Exception as error:  # The engine has no class for its errors.
            self.fail(str(error), body)

    def body(self):
        """The pieces of the body."""
        chunked = 'chunked' in self.headers.get('Transfer-Encoding', '').lower()
        left = 0 if chunked else size(self.headers.get('Content-Length', '0'), 10)
        while True:
            if chunked and left == 0:
                left = size(self.line().split(b';')[0], 16)
                if left == 0:
                    while self.line():  # Trailers.
                        pass
            if left == 0:
                self.body_read = True
                return
            piece = self.rfile.read(min(left, PIECE))
            if not piece:
                raise ConnectionError('the body ends too early')
            left -= len(piece)
            if chunked and left == 0:
                self.line()
            yield piece

    def line(self):
        line = self.rfile.readline(4096)
        if not line.endswith(b'\n'):
            raise ConnectionError('the body ends too early')
        return line.strip()

    def query(self, engine, body):
        url = urllib.parse.urlsplit(self.path)
        arguments = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        if url.path != '/':
            raise Refused(60, f'There is no handler {url.path}', 'UNKNOWN_TABLE')
        self.authenticate(arguments)
        refused = sorted(name for name in REFUSED if arguments.get(name, '0') != '0')
        if refused:
            raise Refused(48, f'{refused[0]} is not implemented by clickhouse-http.py', 'NOT_IMPLEMENTED')
        connection = Connection(engine.folder)
        try:
            self.prepare(connection, arguments)
            insert = INSERT.fullmatch(arguments.get('query', ''))
            result = self.insert(connection, insert, body) if insert else self.ask(connection, arguments, body)
        finally:
            connection.close()
        summary = {'read_rows': result.rows_read(), 'written_rows': result.rows_written(),
                   'elapsed_ns': int(result.elapsed() * 1e9)}
        self.answer(200, result.bytes(), {
            'X-ClickHouse-Query-Id': arguments.get('query_id') or str(uuid.uuid4()),
            'X-ClickHouse-Timezone': engine.timezone,
            'X-ClickHouse-Summary': json.dumps({name: str(value) for name, value in summary.items()})})

    def authenticate(self, arguments):
        user, password = arguments.get('user', 'default'), arguments.get('password', '')
        authorization = self.headers.get('Authorization', '')
        if authorization.lower().startswith('basic '):
            user, _, password = base64.b64decode(authorization[6:]).decode().partition(':')
        user = self.headers.get('X-ClickHouse-User', user)
        password = self.headers.get('X-ClickHouse-Key', password)
        given, expected = json.dumps([user, password]), json.dumps(self.server.credentials)
        if not hmac.compare_digest(given, expected):
            raise Refused(516, f'{user}: Authentication failed: password is incorrect, or there is no user with such name',
                          'AUTHENTICATION_FAILED')

    def prepare(self, connection, arguments):
        database = arguments.get('database') or self.headers.get('X-ClickHouse-Database')
        if database:
            connection.query('USE ' + quoted(database, '`'))
        for name, value in arguments.items():
            if name not in OWN and not name.startswith('param_'):
                connection.query(f"SET {quoted(name, '`')} = {quoted(value, chr(39))}")
        if self.command == 'GET':
            connection.query('SET readonly = 2')

    def insert(self, connection, insert, body):
        """By way of a file, and after all of it has come: data in a query ends at what looks like its end, and the engine's
        own way of taking it in pieces (`send_insert`) keeps the errors of views and constraints to itself."""
        into, settings, form = insert.groups('')
        with tempfile.NamedTemporaryFile(dir=self.server.engine.folder + '.inserts') as data:
            for piece in body:
                data.write(piece)
            data.flush()
            file = quoted(data.name, "'")
            return connection.query(f"{into} FROM INFILE {file} COMPRESSION 'none' {settings} FORMAT {form}")

    def ask(self, connection, arguments, body):
        text = b''
        for piece in body:
            text += piece
            if len(text) > TEXT_MAX:
                raise Refused(62, f'The query is longer than {TEXT_MAX} bytes', 'SYNTAX_ERROR')
        form = FORM.match(self.headers.get('Content-Type', ''))
        if form:
            fields = dict(form_fields(text, (form[1] or form[2]).encode()))
            text = fields.pop('query', '').encode()
            arguments = {**arguments, **fields}
        text = arguments.get('query', '').encode() + b'\n' + text
        if not text.strip():
            raise Refused(62, 'Empty query', 'SYNTAX_ERROR')
        parameters = {name[6:]: value for name, value in arguments.items() if name.startswith('param_')}
        return connection.query(text.decode(), arguments.get('default_format', 'TabSeparated'), params=parameters)

    def fail(self, message, body):
        found = re.search(r'Code: (\d+)\..*', message, re.S)
        code = int(found[1]) if found else 1002
        text = found[0] if found else f'Code: {code}. DB::Exception: {message}. (UNKNOWN_EXCEPTION)'
        try:
            # A client reads the answer when it has sent all; but not every one is waited for.
            for _ in itertools.islice(body, TEXT_MAX // PIECE):
                pass
        except (OSError, ValueError):
            pass
        self.close_connection = self.close_connection or not self.body_read
        text = f'{text.strip()} (version {self.server.engine.version})\n'
        try:
            self.answer(STATUS.get(code, 500), text.encode(), {'X-ClickHouse-Exception-Code': str(code)})
        except OSError:
            self.close_connection = True

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in {**headers, 'Content-Type': 'text/plain; charset=UTF-8', 'Content-Length': str(len(body))}.items():
            self.send_header(name, re.sub(r'[^ -~]', '?', value))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def form_fields(body, boundary):
    """The fields of a form: their names and values."""
    for part in (b'\r\n' + body).split(b'\r\n--' + boundary)[1:]:
        head, found, value = part.partition(b'\r\n\r\n')
        name = FIELD.search(head)
        if name and found:
            yield name[1].decode(), value.decode()


def size(digits, base):
    number = int(digits, base)
    if number < 0:
        raise ValueError('a size is not negative')
    return number


def quoted(text, mark):
    return mark + text.replace('\\', '\\\\').replace(mark, '\\' + mark) + mark


def main():
    port, folder = int(sys.argv[1]), os.path.abspath(sys.argv[2])
    server = Server(('127.0.0.1', port), Handler, bind_and_activate=False)
    server.server_bind()  # Before anything is written. It listens when the engine is ready.
    shutil.rmtree(folder + '.inserts', ignore_errors=True)  # Of one that was killed.
    os.makedirs(folder + '.inserts')
    server.credentials = [os.environ.get('CLICKHOUSE_USER', 'default'), os.environ.get('CLICKHOUSE_PASSWORD', '')]
    server.engine = Engine(folder)
    server.server_activate()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
    print(f'ClickHouse {server.engine.version} on http://127.0.0.1:{port}', flush=True)
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    server.engine.end()


if __name__ == '__main__':
    main()
