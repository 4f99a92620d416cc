import re

import pytest

from tests.unit.functions.template import ROOT, Function, functions, template

# Method, path, and whether it needs an access token: the calls of the HTTP contract.
CALLS = {
    "auth.register": ("POST", "/auth/register", False),
    "auth.login": ("POST", "/auth/login", False),
    "auth.refresh": ("POST", "/auth/refresh", False),
    "auth.logout": ("POST", "/auth/logout", False),
    "auth.jwks": ("GET", "/.well-known/jwks.json", False),
    "users.me": ("GET", "/users/me", True),
    "image.generate": ("POST", "/image/generate", False),
    "image.get": ("GET", "/image/{id}", False),
    "image.download": ("GET", "/image/{id}/download", False),
    "image.delete": ("DELETE", "/image/{id}", True),
    "image.list": ("GET", "/admin/images", True),
    "tts.generate": ("POST", "/tts/generate", False),
    "tts.get": ("GET", "/tts/{id}", False),
    "tts.download": ("GET", "/tts/{id}/download", False),
    "tts.delete": ("DELETE", "/tts/{id}", True),
    "tts.list": ("GET", "/admin/audios", True),
    "ops.health": ("GET", "/healthz", False),
}
WITHOUT_A_ROUTE = {
    "auth.authorizer",
    "image.index",
    "tts.index",
    "ops.migrate",
    "ops.reindex",
    "ops.signing_key",
}


def reads(function: Function, variable: str) -> bool:
    return variable in dict(function.variables)


def test_the_template_serves_the_calls_of_the_contract_and_no_other() -> None:
    served = {
        module: [(route.method, route.path, route.protected) for route in function.routes]
        for module, function in functions().items()
        if function.routes
    }
    assert served == {module: [call] for module, call in CALLS.items()}
    assert set(functions()) - set(served) == WITHOUT_A_ROUTE


def test_the_modules_with_a_handler_are_the_functions_of_the_template() -> None:
    sources = (ROOT / "functions").glob("*/*.py")
    modules = {f"{source.parent.name}.{source.stem}" for source in sources if source.stem != "__init__"}
    assert modules == set(functions())


def test_the_route_in_a_module_is_the_route_in_the_template() -> None:
    for module, (method, path, _protected) in CALLS.items():
        source = (ROOT / "functions" / module.replace(".", "/")).with_suffix(".py").read_text()
        route = re.search(r'@api\.(get|post|delete)\("([^"]+)"\)', source)
        assert route is not None, module
        assert route[1].upper() == method
        assert re.sub(r"<\w+>", "{id}", route[2]) == path


def test_protected_calls_share_the_authorizer_of_access_tokens() -> None:
    authorizers = template()["Resources"]["Api"]["Properties"]["Auth"]["Authorizers"]
    assert list(authorizers) == ["AccessToken"]
    assert authorizers["AccessToken"]["FunctionPayloadType"] == "TOKEN"
    assert "DefaultAuthorizer" not in template()["Resources"]["Api"]["Properties"]["Auth"]


def test_the_planes_have_neither_layers_nor_settings_of_each_other() -> None:
    for module, function in functions().items():
        service = module.partition(".")[0]
        if service in ("auth", "users"):
            assert set(function.layers) <= {"core", "accounts"}, module
            assert not function.may_be_offline
            assert not reads(function, "BUCKET")
        elif service in ("image", "tts"):
            assert set(function.layers) == {"core", "generation"}, module
            assert not reads(function, "DATABASE_SECRET_ARN")


def test_only_those_who_issue_tokens_know_of_the_private_key() -> None:
    knowing = {module for module, function in functions().items() if reads(function, "SIGNING_SECRET_ARN")}
    assert knowing == {"auth.register", "auth.login", "auth.refresh", "ops.signing_key"}


def test_who_verifies_tokens_has_the_public_keys() -> None:
    protected = {module for module, (_method, _path, needs_token) in CALLS.items() if needs_token}
    open_to_users = {f"{service}.{call}" for service in ("image", "tts") for call in ("generate", "get", "download")}
    for module in protected | open_to_users | {"auth.authorizer", "auth.jwks"}:
        assert reads(functions()[module], "JWKS"), module


def test_only_the_lists_sign_cursors() -> None:
    signing = {module for module, function in functions().items() if reads(function, "CURSOR_SECRET_ARN")}
    assert signing == {"image.list", "tts.list"}


@pytest.mark.parametrize("service", ["Image", "Tts"])
def test_the_queue_is_told_of_records_that_come_and_of_records_that_go(service: str) -> None:
    bucket = template()["Resources"][f"{service}Bucket"]["Properties"]
    told = bucket["NotificationConfiguration"]["QueueConfigurations"]
    assert [one["Event"] for one in told] == ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    for one in told:
        rules = {rule["Name"]: rule["Value"] for rule in one["Filter"]["S3Key"]["Rules"]}
        assert rules == {"prefix": "requests/", "suffix": "/record.json"}


@pytest.mark.parametrize("service", ["Image", "Tts"])
def test_a_tombstone_is_kept_longer_than_any_message(service: str) -> None:
    resources = template()["Resources"]
    rules = resources[f"{service}Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (kept,) = [rule["ExpirationInDays"] for rule in rules if rule.get("Prefix") == "deleted/"]
    queues = (f"{service}RecordQueue", f"{service}RecordDeadLetters")
    seconds = [resources[queue]["Properties"].get("MessageRetentionPeriod", 345_600) for queue in queues]
    assert kept * 86_400 > sum(seconds)


@pytest.mark.parametrize("service", ["Image", "Tts"])
def test_a_message_is_not_given_to_a_second_function_while_the_first_may_run(service: str) -> None:
    resources = template()["Resources"]
    timeout = resources[f"{service}IndexFunction"]["Properties"]["Timeout"]
    assert resources[f"{service}RecordQueue"]["Properties"]["VisibilityTimeout"] >= 6 * timeout


def test_only_the_generating_functions_may_have_the_offline_engines() -> None:
    assert {module for module, function in functions().items() if function.may_be_offline} == {
        "image.generate",
        "tts.generate",
    }
