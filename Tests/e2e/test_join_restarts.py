"""Join tokens and controllers that come and go."""

import socket
import ssl
import threading

from support import manifests
from support.certificates import Authority, server_context
from support.controller import Controller
from support.joining import join, refused, token
from support.mesh import CONTROLLER
from support.waiting import until


def test_a_spent_token_stays_spent_and_its_workload_stays_in_when_the_controller_is_killed(mesh):
    mesh.up(manifests.service("web"))
    made = token(mesh)
    workload = join(mesh, made)
    name = workload.workload_name
    mesh.controller.kill_group()
    mesh.up()
    until(lambda: any(each["name"] == name and each["connected"] for each in mesh.json("status")["workloads"]),
          "it is back", 20)
    workload.wait_for_log("the control plane is back")
    stranger = Controller(made["trust_anchors_pem"])
    status, text = refused(mesh, "replayed", lambda: stranger.refusal(token=made["token"]))
    assert status == "PERMISSION_DENIED" and "apus identity token create" in text
    stranger.close()


def test_the_token_is_not_shown_to_a_member_of_the_mesh_that_takes_the_controllers_place(mesh):
    mesh.up(manifests.service("web"))
    made = token(mesh)
    files = Authority.of_mesh(mesh.state).issue(mesh.directory, "imposter",
                                                "spiffe://cluster.local/ns/apus-system/sa/apus-controller")
    context = server_context(mesh.state, files)
    context.verify_mode = ssl.CERT_NONE
    mesh.controller.kill_group()
    failures, received = [], []
    with socket.create_server(CONTROLLER) as listener:
        def serve():
            while True:
                try:
                    raw, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(raw, server_side=True) as tls:
                        received.append(tls.recv(65536))
                except OSError as error:
                    failures.append(error)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        joiner = join(mesh, made, flags=["--ready-timeout", "2"], wait=False)
        assert joiner.wait() == 75, joiner.log()
        listener.shutdown(socket.SHUT_RDWR)
    # The handshake fails, or ends before a byte of a request.
    assert failures + received and not any(received), received
