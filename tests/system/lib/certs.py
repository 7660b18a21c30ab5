"""Certificates for tests, made by the openssl command."""

import os
import ssl
import subprocess

from . import proc


class Certs:
    """An authority, a server's certificate for 127.0.0.1 and a client's certificate."""

    def __init__(self):
        self.dir = proc.temp_dir("sr-tls-")
        self.ca, self.ca_key = self.path("ca.pem"), self.path("ca.key")
        self.server_cert, self.server_key = self.path("server.pem"), self.path("server.key")
        self.client_cert, self.client_key = self.path("client.pem"), self.path("client.key")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", self.ca_key, "-out", self.ca, "-days", "2", "-subj", "/CN=test authority")
        self.issue(self.server_cert, self.server_key, "server",
                   "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n")
        self.issue(self.client_cert, self.client_key, "client", "extendedKeyUsage=clientAuth\n")

    def path(self, name):
        return os.path.join(self.dir, name)

    def openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True)

    def issue(self, cert, key, name, extensions):
        request, ext = self.path("req"), self.path("ext")
        with open(ext, "w") as f:
            f.write(extensions)
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        self.openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key,
                     "-CAcreateserial", "-days", "2", "-extfile", ext, "-out", cert)

    def context(self):
        """For the tests' own client, which shows a certificate."""
        ctx = ssl.create_default_context(cafile=self.ca)
        ctx.load_cert_chain(self.client_cert, self.client_key)
        return ctx

    def section(self, client=True):
        """The replicator's section `tls`."""
        out = {"ca": self.ca}
        if client:
            out.update(cert=self.client_cert, key=self.client_key)
        return out

    def close(self):
        proc.remove_dir(self.dir)
