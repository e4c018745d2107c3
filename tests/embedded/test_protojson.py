# SPDX-License-Identifier: GPL-3.0-or-later
"""Proto JSON as protojson reads and writes it, on the messages of pipeline specs."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest
from pachyderm_sdk.api import pfs, pps

from pachd_embedded.errors import PachError
from pachd_embedded.pps import protojson
from pachd_embedded.pps.json_scanner import ProtoJsonError
from pachd_embedded.pps.spec import parse_spec, spec_of_request


def refusal(text: str) -> PachError:
    with pytest.raises(PachError) as caught:
        parse_spec(text)
    return caught.value


# Texts and messages as protojson 1.34 gives them, run over pachd's own message descriptors.
BAD_JSON = [
    ("", "syntax error (line 1:1): unexpected token "),
    ("nope", "syntax error (line 1:1): invalid value nope"),
    ("[]", "syntax error (line 1:1): unexpected token ["),
    ('{"pipeline":{"name":"a"},"bogus":1}', '(line 1:26): unknown field "bogus"'),
    ('{"salt":"é", "bogus":1}', '(line 1:14): unknown field "bogus"'),
    ('{\n "salt": "a",\n "salt": "b"\n}', '(line 3:2): duplicate field "salt"'),
    ('{"datumTries":1,"datum_tries":1}', '(line 1:17): duplicate field "datum_tries"'),
    ('{"salt":null,"salt":"x"}', '(line 1:14): duplicate field "salt"'),
    ('{"resource_limits":\n  {"gpu": 1}}', "syntax error (line 2:11): unexpected token 1"),
    ('{"salt":1}', "(line 1:9): invalid value for string type: 1"),
    ('{"autoscaling":"true"}', '(line 1:16): invalid value for bool type: "true"'),
    ('{"datumTries":1.5}', "(line 1:15): invalid value for int64 type: 1.5"),
    ('{"datumTries":9223372036854775808}', "(line 1:15): invalid value for int64 type: 9223372036854775808"),
    ('{"parallelismSpec":{"constant":-1}}', "(line 1:32): invalid value for uint64 type: -1"),
    ('{"service":{"internalPort":2147483648}}', "(line 1:28): invalid value for int32 type: 2147483648"),
    ('{"resourceRequests":{"cpu":1e39}}', "(line 1:28): invalid value for float type: 1e39"),
    ('{"tolerations":[{"operator":"NOPE"}]}', '(line 1:29): invalid value for enum type: "NOPE"'),
    ('{"tolerations":[null]}', "syntax error (line 1:17): unexpected token null"),
    (
        '{"tolerations":[{"tolerationSeconds":{}}]}',
        "(line 1:38): invalid value for int64 type: {",
    ),
    ('{"transform":{"cmd":"true"}}', 'syntax error (line 1:21): unexpected token "true"'),
    ('{"transform":{"cmd":[null]}}', "(line 1:22): invalid value for string type: null"),
    ('{"transform":{"env":{"a":"1","a":"2"}}}', '(line 1:30): duplicate map key "a"'),
    ('{"transform":[]}', "syntax error (line 1:14): unexpected token ["),
    ('{"datumTimeout":"1m"}', '(line 1:17): invalid google.protobuf.Duration value "1m"'),
    ('{"datumTimeout":10}', "syntax error (line 1:17): unexpected token 10"),
    (
        '{"datumTimeout":"315576000001s"}',
        '(line 1:17): google.protobuf.Duration value out of range: "315576000001s"',
    ),
    (
        '{"input":{"cron":{"start":"2026-13-01T00:00:00Z"}}}',
        '(line 1:27): invalid google.protobuf.Timestamp value "2026-13-01T00:00:00Z"',
    ),
    (
        '{"egress":{"objectStorage":{},"sqlDatabase":{}}}',
        '(line 1:31): error parsing "sqlDatabase", oneof pps_v2.Egress.target is already set',
    ),
    ('{"egress":{"url":"s3://b"}}', '(line 1:12): unknown field "url"'),
    ('{"salt":"x"', "unexpected EOF"),
    ('{"salt":"x', "unexpected EOF"),
    ('{"salt":"x",}', "syntax error (line 1:13): unexpected token }"),
    ('{"salt":"x"} x', "syntax error (line 1:14): invalid value x"),
    ('{"salt":"x"}{}', "syntax error (line 1:13): unexpected token {"),
    ('{"salt" "x"}', 'syntax error (line 1:9): unexpected character ", missing ":" after field name'),
    ('{"salt":01}', "syntax error (line 1:9): invalid value 01"),
    ('{"salt":"\\q"}', 'syntax error (line 1:9): invalid escape code "\\\\q" in string'),
    ('{"salt":"\\ud800\\u0041"}', 'syntax error (line 1:9): invalid escape code "\\\\u0041" in string'),
    ('{"salt":"a\nb"}', "syntax error (line 1:9): invalid character '\\n' in string"),
]

# Fields of 1.x specs, which 2.12 does not know.
GONE_FIELDS = [
    ('{"input":{"atom":{"repo":"d","glob":"/"}}}', "atom"),
    ('{"input":{"git":{"URL":"https://x"}}}', "git"),
    ('{"inputs":[]}', "inputs"),
    ('{"parallelism_spec":{"coefficient":1.0}}', "coefficient"),
    ('{"standby":true}', "standby"),
    ('{"chunk_spec":{}}', "chunk_spec"),
    ('{"cache_size":"1G"}', "cache_size"),
    ('{"max_queue_size":1}', "max_queue_size"),
    ('{"enable_stats":true}', "enable_stats"),
    ('{"incremental":true}', "incremental"),
    ('{"batch":true}', "batch"),
    ('{"transform":{"build":{}}}', "build"),
    ('{"hashtree_spec":{}}', "hashtree_spec"),
    ('{"scaleDownThreshold":"1s"}', "scaleDownThreshold"),
]


@pytest.mark.parametrize(("text", "message"), BAD_JSON)
def test_a_bad_spec_is_refused_with_the_place_and_words_of_protojson(text: str, message: str) -> None:
    error = refusal(text)
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT
    start = "could not make effective spec: could not parse "
    assert error.text == f"{start}{text} as Create Pipeline Request message: proto: {message}"


@pytest.mark.parametrize(("text", "field"), GONE_FIELDS)
def test_fields_of_1_x_are_unknown(text: str, field: str) -> None:
    assert f'unknown field "{field}"' in refusal(text).text


def test_deep_nesting_is_refused_and_breaks_nothing() -> None:
    text = '{"input":' + '{"cross":[' * 5000 + "]}" * 5000 + "}"
    assert refusal(text).text.endswith("proto: exceeded max recursion depth")


def test_a_spec_may_use_every_way_of_writing_that_proto_json_has() -> None:
    request = protojson.parse(
        pps.CreatePipelineRequest,
        """{"s3Out": false, "datum_tries": "5", "datumTimeout": "1.5s", "jobTimeout": "-10s",
            "transform": {"acceptReturnCode": [1, "2", 3e0], "env": {"A": "\\u00e9\\ud83d\\ude00"},
                          "user": null},
            "tolerations": [{"operator": 2, "effect": "NO_EXECUTE", "tolerationSeconds": 0}],
            "resourceLimits": {"cpu": "0.5"}, "parallelismSpec": {},
            "input": {"cron": {"start": "2026-11-23T05:24:19.5+02:00"}},
            "egress": {"sqlDatabase": {"fileFormat": {"type": "CSV"}}}}""",
    )
    assert request.datum_tries == 5
    assert (request.datum_timeout, request.job_timeout) == (timedelta(seconds=1.5), timedelta(seconds=-10))
    assert request.transform.accept_return_code == [1, 2, 3]
    assert request.transform.env == {"A": "é😀"}
    assert request.tolerations[0].operator == pps.TolerationOperator.EQUAL
    assert request.tolerations[0].effect == pps.TaintEffect.NO_EXECUTE
    assert request.tolerations[0].toleration_seconds == 0
    assert request.resource_limits.cpu == 0.5
    assert request.input.cron.start.isoformat() == "2026-11-23T03:24:19.500000+00:00"
    assert request.egress.sql_database.file_format.type == pfs.SqlDatabaseEgressFileFormatType.CSV


def test_a_message_survives_the_wire_and_renders_as_protojson_does() -> None:
    text = (
        '{"pipeline":{"project":{"name":"x"},"name":"p"},'
        '"transform":{"cmd":["a > b\\n"],"env":{"A":"1","Z":"é"},"acceptReturnCode":["1","2"]},'
        '"parallelismSpec":{},"egress":{"objectStorage":{}},"s3Out":true,'
        '"resourceRequests":{"cpu":0.01,"gpu":{"number":"1"}},"resourceLimits":{"cpu":1e-7},'
        '"sidecarResourceLimits":{"cpu":1.2345679e+08},'
        '"input":{"cross":[{"cron":{"start":"2026-11-23T03:24:19.500Z"}},{}]},'
        '"service":{"internalPort":80},"spout":{},"datumTimeout":"0.250s","jobTimeout":"90s",'
        '"datumTries":"9223372036854775807",'
        '"tolerations":[{"operator":"EXISTS","effect":17,"tolerationSeconds":"0"}],'
        '"sidecarResourceRequests":{"cpu":"NaN"}}'
    )
    request = protojson.parse(pps.CreatePipelineRequest, text)
    received = pps.CreatePipelineRequest.FromString(bytes(request))
    # protojson writes a number below 1e21 without an exponent.
    assert spec_of_request(received) == text.replace("1.2345679e+08", "123456790")


def test_any_message_of_the_sdk_can_be_read() -> None:
    with pytest.raises(ProtoJsonError, match='unknown field "glob"'):
        protojson.parse(pfs.Repo, '{"glob":1}')
