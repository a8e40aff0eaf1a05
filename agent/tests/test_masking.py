"""Command lines as they are seen, and as they may be told."""

from __future__ import annotations

import pytest
from sysmonstm_agent.processes.masking import mask


@pytest.mark.parametrize(
    ("command", "told"),
    [
        # Flags with a value, in one argument and in two.
        ("app --password=hunter2", "app --password=***"),
        ("app --password hunter2", "app --password ***"),
        ("app -password hunter2 -v", "app -password *** -v"),
        ("app --db-password=a=b", "app --db-password=***"),
        ("app --token abc --port 80", "app --token *** --port 80"),
        ("app --api-key=k1", "app --api-key=***"),
        ("app --apiKey k1", "app --apiKey ***"),
        ("app --secret-access-key k1", "app --secret-access-key ***"),
        ("app --client_secret=s", "app --client_secret=***"),
        ("app --auth none", "app --auth ***"),
        ("app --with-passphrase s", "app --with-passphrase ***"),
        ("java -Dspring.datasource.password=x -jar a", None),
        ("java -Djavax.net.ssl.keyStorePassword=x", None),
        ("env PGPASSWORD=x psql", "env PGPASSWORD=*** psql"),
        ("env AWS_SECRET_ACCESS_KEY=x aws", "env AWS_SECRET_ACCESS_KEY=*** aws"),
        ("env GITHUB_TOKEN=x gh", "env GITHUB_TOKEN=*** gh"),
        ("serve --key s3cret", "serve --key ***"),
        # Credentials in addresses.
        ("curl https://me:pw@host/p", "curl https://me:***@host/p"),
        ("psql postgres://u:p@h:5432/db", "psql postgres://u:***@h:5432/db"),
        ("worker redis://:p@h/0", "worker redis://:***@h/0"),
        ("git clone https://0123456789abcdef0123@host/r", None),
        ("curl https://h/p?token=abc&page=2", "curl https://h/p?token=***&page=2"),
        ("curl https://h/p?a=1&api_key=abc", "curl https://h/p?a=1&api_key=***"),
        # Users with their passwords.
        ("curl -u me:pw https://h", "curl -u me:*** https://h"),
        ("curl --user me:pw https://h", "curl --user me:*** https://h"),
        ("smbclient -U me%pw //h/s", "smbclient -U me%*** //h/s"),
        # Programs with short flags of their own.
        ("mysql -uroot -phunter2 db", "mysql -uroot -p*** db"),
        ("/usr/bin/mysqldump -phunter2", "/usr/bin/mysqldump -p***"),
        ("docker login -u me -p hunter2 r", "docker login -u me -p *** r"),
        ("sshpass -p hunter2 ssh h", "sshpass -p *** ssh h"),
        ("redis-cli -a hunter2 ping", "redis-cli -a *** ping"),
        ("ldapsearch -w hunter2 -x", "ldapsearch -w *** -x"),
        # What services give out, wherever it stands.
        ("tool ghp_abcdefghijklmnop", "tool ***"),
        ("tool sk-abcdefghijklmnop", "tool ***"),
        ("tool AKIAIOSFODNN7EXAMPLE", "tool ***"),
        ("tool eyJhbGciOi.eyJzdWIi.c2ln", "tool ***"),
        ("tool smt_abcdefghijkl", "tool ***"),
        # Long and random.
        ("tool 3f786850e387550fdab836ed7e6dc881de23001b", "tool ***"),
        ("tool --id 7c9e6679-7425-40de-944b-e07fc1f90ae7", "tool --id ***"),
        ("tool dGhpcyBpcyBhIDEyMyBzZWNyZXQ0NTY=", "tool ***"),
        ("curl https://hooks.example/T0/abcdef0123456789xyzw", None),
    ],
)
def test_what_is_secret_is_hidden(command: str, told: str | None) -> None:
    said = mask(command.split(" "))

    assert "***" in said
    if told is not None:
        assert said == told
    for secret in ("hunter2", "s3cret", "=x", "abcdef0123456789", "0123456789abc"):
        assert secret not in said


@pytest.mark.parametrize(
    "command",
    [
        "/usr/bin/python3 manage.py grpcserve --port 50051",
        "stress-ng --cpu 4 --timeout 60s",
        "nginx: worker process",
        "postgres: sysmonstm postgres 127.0.0.1(49168) UPDATE",
        "sshd: root@pts/0",
        "java -Xmx4g -cp /usr/lib/jvm/java-17-openjdk-amd64/lib org.apache.Main",
        "app --password-file /run/secrets/db",
        "app --token-path=/run/secrets/token",
        "app --max-tokens 2048 --tokenizer bpe",
        "app --sort-key name --primary-key=id",
        "app --key /etc/ssl/private/h.pem",
        "app --bypass --passive --compass=n",
        "docker run -u 1000:1000 -p 8080:80 nginx",
        "mysql -p db",
        "ssh -p 2222 me@host",
        "rsync -a /home/me/long-folder-name-2026-11-20/ host:/backup",
        "/nix/store/3f786850e387550fdab836ed7e6dc881-hello/bin/hello",
        "curl https://host.example:8443/path?page=2",
        "ffmpeg -i in.mp4 -vf scale=1280:720 out.mp4",
        "find / -name core -author me",
    ],
)
def test_what_is_no_secret_is_told(command: str) -> None:
    assert mask(command.split(" ")) == command


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], ""),
        ([""], ""),
        (["/opt/my app/bin"], "/opt/my app/bin"),
        (["sh", "-c", "mysql --password hunter2 db"], "sh -c mysql --password *** db"),
        (["sh", "-c", "export TOKEN=abc; run"], "sh -c export TOKEN=***; run"),
        (["curl", "-H", "Authorization: Bearer abc def"], "curl -H Authorization: ***"),
        (["curl", "-H", "X-Api-Key: abc"], "curl -H X-Api-Key: ***"),
        (["curl", "-H", "Cookie: a=b; c=d"], "curl -H Cookie: ***"),
        (["curl", "-d", '{"password": "abc", "a": 1}'], None),
        # A program that writes its own title, over the arguments it had.
        (["worker: --password hunter2 busy"], "worker: --password *** busy"),
        (["app", "--password", ""], "app --password ***"),
        # A flag without a value before another one.
        (["app", "--password", "--verbose"], "app --password --verbose"),
    ],
)
def test_arguments_with_blanks_in_them(arguments: list[str], told: str | None) -> None:
    said = mask(arguments)

    if told is not None:
        assert said == told
    assert "abc" not in said
    assert "hunter2" not in said


def test_a_hostile_command_line_takes_no_time() -> None:
    # As much as is read of one, of what makes patterns look back.
    for text in ("a=" * 2000, "=" * 4000, "-" * 4000, "a" * 4000, "a:/" * 1300):
        mask([text, text])
