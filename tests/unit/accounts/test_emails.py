"""One mailbox is one account, two are two, and whoever registered under former rules still gets in."""

import hashlib
import subprocess
import sys
import unicodedata
from uuid import uuid4

import bcrypt
import pytest

from accounts import emails, login_failures, users
from core import ids
from core.client import ClientInfo
from core.errors import Conflict, NotFound, ProblemError, TooManyRequests, Unauthorized

PASSWORD = "correct horse battery"
OTHER = "another horse entirely"
CLIENT = ClientInfo()


@pytest.fixture
def unique() -> str:
    """A part of an address that no other test uses."""
    return uuid4().hex


def register(platform, email: str, password: str = PASSWORD) -> str:
    """Register, and return the user's id."""
    return platform.accounts.register(email, password, CLIENT)["user"]["id"]


def register_formerly(platform, email: str, password: str = PASSWORD) -> str:
    """A user as release 1.0 stored one, whose addresses were compared by case folding alone."""
    user_id = ids.new()
    key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).casefold())
    platform.query(
        "INSERT INTO users (id, email, email_key, password_hash, role, created_at) VALUES (%s, %s, %s, %s, 'user', %s)",
        user_id,
        email,
        key,
        bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode(),
        platform.clock.now,
    )
    return user_id


def login(platform, email: str, password: str = PASSWORD) -> str | int:
    """The id of the user who logs in, or the status of the refusal."""
    try:
        return platform.accounts.login(email, password, CLIENT)["user"]["id"]
    except ProblemError as error:
        return int(error.status)


# ---------------------------------------------------------------- one mailbox, one account

SPELLINGS = [
    ("{}@exämple.com", "{}@xn--exmple-cua.com"),
    ("{}@xn--exmple-cua.com", "{}@exämple.com"),
    ("{}@EXA\u0308MPLE.com", "{}@Xn--Exmple-Cua.COM"),
    ("{}@straße.example", "{}@XN--strae-oqa.example"),
    ("{}@ｅxample.com", "{}@example.com"),
    ("{}.é@example.com", "{}.E\u0301@Example.com"),
    ("{}.straße@example.com", "{}.STRAẞE@example.com"),
    ("{}.яблоко@example.com", "{}.ЯБЛОКО@example.com"),
]


@pytest.mark.parametrize(("first", "second"), SPELLINGS)
def test_the_spellings_of_a_mailbox_are_one_account(platform, unique, first, second):
    user_id = register(platform, first.format(unique))
    with pytest.raises(Conflict):
        register(platform, second.format(unique))
    assert login(platform, second.format(unique)) == user_id
    assert platform.accounts.promote(second.format(unique))["id"] == user_id


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{}.straße@example.com", "{}.strasse@example.com"),
        ("{}.strasse@example.com", "{}.straße@example.com"),
        ("{}@straße.example", "{}@strasse.example"),
        ("{}.ﬁ@example.com", "{}.fi@example.com"),
    ],
)
def test_two_mailboxes_are_two_accounts(platform, unique, first, second):
    one, two = (
        register(platform, email.format(unique), password) for email, password in ((first, PASSWORD), (second, OTHER))
    )
    assert one != two
    assert login(platform, first.format(unique)) == one
    assert login(platform, second.format(unique), OTHER) == two
    assert login(platform, first.format(unique), OTHER) == 401


@pytest.mark.parametrize(
    "email",
    ["Ada@Example.COM", "x@EXÄMPLE.com", "x@xn--exmple-cua.com", "İ@example.com", "a,b@x.org", "a,B@STRASSE.org"],
)
def test_the_key_of_a_key_is_itself(email):
    assert users.email_key(users.email_key(email)) == users.email_key(email)


# ---------------------------------------------------------------- accounts from before


@pytest.mark.parametrize(
    "email",
    [
        "{}a,b@x.org", ".{}@x.org", "{}..y@x.org", "<{}>@x.org", "{}@ab--cd.org", "{}@x.123", '"{}"@x.org',
        "{}@exämple.com", "{}@xn--exmple-cua.com", "{}@Xn--Exmple-Cua.com", "{}@xn--0.com", "{}@ｅxample.com",
        "{}.STRASSE@x.org", "{}.Straße@x.org", "{}@straße.org", "{}.ﬁ@x.org", "ΑΣ{}ΑΣ@x.org", "{}@y.local",
        "{}" + "é" * 32 + "@x.org",
    ],
)  # fmt: skip
def test_who_registered_under_former_rules_logs_in_as_before(platform, unique, email):
    email = email.format(unique)
    user_id = register_formerly(platform, email)
    assert emails.validate_presented(email) == email
    assert login(platform, email) == user_id
    assert login(platform, email.swapcase() if email.isascii() else email) == user_id
    assert login(platform, email, OTHER) == 401
    with pytest.raises(Conflict):
        register(platform, email)


@pytest.mark.parametrize(("first", "second"), [pair for pair in SPELLINGS if "ｅ" not in pair[0]])
def test_no_new_account_takes_the_mailbox_of_one_from_before(platform, unique, first, second):
    user_id = register_formerly(platform, first.format(unique))
    with pytest.raises(Conflict):
        register(platform, second.format(unique))
    assert login(platform, second.format(unique)) == user_id
    assert login(platform, first.format(unique)) == user_id


def test_two_accounts_of_one_mailbox_from_before_are_each_found_by_their_own_spelling(platform, unique):
    forms = [f"{unique}@exämple.com", f"{unique}@xn--exmple-cua.com"]
    found = [register_formerly(platform, email) for email in forms]
    assert [login(platform, email) for email in forms] == found
    assert [login(platform, email.upper()) for email in forms] == found


@pytest.mark.parametrize("in_the_way", ["{}.straße@example.com", "{}@straße.example"])
def test_an_address_that_another_mailbox_was_stored_under_can_be_registered(platform, unique, in_the_way):
    former, email = in_the_way.format(unique), in_the_way.format(unique).replace("ß", "ss")
    before = register_formerly(platform, former)
    assert login(platform, email) == 401
    with pytest.raises(NotFound):
        platform.accounts.promote(email)
    after = register(platform, email, OTHER)
    assert (login(platform, former), login(platform, email, OTHER)) == (before, after)
    assert (login(platform, former, OTHER), login(platform, email)) == (401, 401)
    with pytest.raises(Conflict):
        register(platform, former)


# ---------------------------------------------------------------- guesses


@pytest.mark.parametrize("formerly", [True, False])
@pytest.mark.parametrize(("first", "second"), SPELLINGS)
def test_the_spellings_of_a_mailbox_have_one_count_of_failures(platform, unique, formerly, first, second):
    (register_formerly if formerly else register)(platform, first.format(unique))
    spellings = [first.format(unique), second.format(unique)] * 2 + [first.format(unique)]
    assert [login(platform, email, OTHER) for email in spellings] == [401] * 5
    assert [login(platform, email) for email in spellings] == [429] * 5


def test_another_mailbox_that_was_one_with_it_has_a_count_of_its_own(platform, unique):
    user_id = register_formerly(platform, f"{unique}.straße@example.com")
    for _ in range(5):
        assert login(platform, f"{unique}.strasse@example.com", OTHER) == 401
    assert login(platform, f"{unique}.strasse@example.com", OTHER) == 429
    assert login(platform, f"{unique}.straße@example.com") == user_id


def test_a_wrong_current_password_counts_for_all_spellings(platform, unique):
    answer = platform.accounts.register(f"{unique}@xn--exmple-cua.com", PASSWORD, CLIENT)
    session = answer["user"]["id"], platform.claims(answer["accessToken"])["sid"]
    for _ in range(5):
        with pytest.raises(ProblemError):
            platform.accounts.change_password(*session, OTHER, "a third horse appears")
    with pytest.raises(TooManyRequests):
        platform.accounts.login(f"{unique}@EXÄMPLE.com", PASSWORD, CLIENT)


def test_counts_of_plain_addresses_are_those_from_before(email):
    """So that a new release gives nobody new guesses."""
    assert login_failures.key(email.upper()) == hashlib.sha256(email.encode()).hexdigest()


@pytest.mark.parametrize("domain", ["example.com", "exämple.com", "xn--exmple-cua.com"])
def test_nobody_asks_the_database_as_often_as_somebody(platform, unique, domain, monkeypatch):
    register(platform, f"{unique}@{domain}")
    asked: list[str] = []
    stored = users._stored
    monkeypatch.setattr(users, "_stored", lambda cursor, email: asked.append(email) or stored(cursor, email))
    for email in (f"{unique}@{domain}", f"nobody.{unique}@{domain}"):
        with pytest.raises(Unauthorized):
            platform.accounts.login(email, OTHER, CLIENT)
    assert asked == [f"{unique}@{domain}", f"nobody.{unique}@{domain}"]


# ---------------------------------------------------------------- what is loaded

LOADED = """
import sys
from accounts import emails, users
{}
print(*sorted({{"email_validator", "idna", "dns"}} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("work", "loaded"),
    [
        ("users.email_key(emails.validate_presented('Ada@Example.com'))", ""),
        ("users.email_key('a,b@example.com')", ""),
        ("emails.validate('ada@example.com')", "email_validator idna"),
        ("users.email_key('ada@exämple.com')", "email_validator idna"),
    ],
)
def test_the_rules_of_addresses_are_loaded_where_one_is_registered_or_is_no_plain_one(work, loaded):
    paths = [path for path in sys.path if path]
    script = f"import sys; sys.path[:] = {paths!r}\n" + LOADED.format(work)
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == loaded
