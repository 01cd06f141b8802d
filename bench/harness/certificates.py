"""A throw-away authority and one certificate for each side of the peers' hop, made with openssl."""

import subprocess


def openssl(work, *arguments):
    subprocess.run(["openssl", *arguments], cwd=work, check=True, capture_output=True)


def make(work):
    openssl(work, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=bench authority")
    for side in ("client", "server"):
        openssl(work, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", f"{side}.key", "-out", f"{side}.csr", "-subj", f"/CN={side}.bench")
        (work / f"{side}.ext").write_text(f"subjectAltName=DNS:{side}.bench\nextendedKeyUsage=serverAuth,clientAuth\n")
        openssl(work, "x509", "-req", "-in", f"{side}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", f"{side}.ext", "-out", f"{side}.pem")
        # nginx and haproxy may read as another user than the one that made them: throw-away keys of this run.
        bundle = (work / f"{side}.pem").read_text() + (work / f"{side}.key").read_text()
        (work / f"{side}.bundle.pem").write_text(bundle)
    for file in work.glob("*.key"):
        file.chmod(0o644)
