"""What is logged while things go wrong, after all tests that made them."""

from tests.integration.test_log import (  # noqa: F401
    test_each_request_has_one_line_that_says_who_asked_for_what_and_how_it_ended,
    test_no_log_holds_a_password_a_token_a_key_a_signed_url_or_a_prompt,
    used,
)
