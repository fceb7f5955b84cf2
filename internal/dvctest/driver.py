"""Serves DVC's commands to tests, so that DVC is imported once.

It listens on the Unix socket that its argument names. A connection is one command: a line of
JSON with dir and args comes in, what the command prints goes out, then a line with its exit
code. Each command has a process of its own, as if it had been typed.
"""

import json
import os
import socketserver
import sys
import traceback

import dvc.cli
import dvc.cli.parser

# What repro, status, add and push import only when they run.
import configobj
import dulwich.ignore
import dulwich.index
import dvc.cachemgr
import dvc.data_cloud
import dvc.dependency.param
import dvc.dirs
import dvc.lock
import dvc.parsing
import dvc.repo.artifacts
import dvc.repo.datasets
import dvc.repo.graph
import dvc.repo.index
import dvc.repo.metrics
import dvc.repo.params
import dvc.repo.plots
import dvc.repo.reproduce
import dvc.repo.trie
import dvc.rwlock
import dvc.scm
import dvc.stage.cache
import dvc.stage.run
import dvc.utils.strictyaml
import dvc_data.hashfile.transfer
import networkx
import pyparsing
import ruamel.yaml
import tomlkit


class Command(socketserver.StreamRequestHandler):
    def handle(self):
        request = json.loads(self.rfile.readline())
        os.chdir(request["dir"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(self.request.fileno(), 1)
        os.dup2(1, 2)
        try:
            code = dvc.cli.main(request["args"])
        except SystemExit as e:
            code = e.code
        except BaseException:
            traceback.print_exc()
            code = None
        sys.stdout.flush()
        sys.stderr.flush()
        if code is not None:
            self.wfile.write(b"\n%d\n" % code)


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    parent = os.getppid()
    request_queue_size = 64

    def service_actions(self):
        super().service_actions()
        if os.getppid() != self.parent:
            sys.exit("the test has ended")


if __name__ == "__main__":
    dvc.cli.parser.get_main_parser()
    with Server(sys.argv[1], Command) as server:
        print("ready", flush=True)
        server.serve_forever()
