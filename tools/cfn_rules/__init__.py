"""Our own rules for cfn-lint: what this project asks of a template beyond that it can be deployed.

cfn-lint loads each module of this folder whose name has no leading underscore (`--append-rules tools/cfn_rules`), and
shows the rules the template as it is written, with `Globals` merged into the functions.
"""
