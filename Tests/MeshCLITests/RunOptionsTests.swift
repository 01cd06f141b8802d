import ArgumentParser
import MeshCore
import Testing

@testable import MeshCLI

@Suite struct RunOptionsTests {
  private func options(_ arguments: String...) throws -> RunOptions {
    try RunCommand.parse(arguments).options()
  }

  private func message(_ arguments: String...) -> String {
    do {
      _ = try RunCommand.parse(arguments)
      return "accepted"
    } catch {
      return RunCommand.message(for: error)
    }
  }

  @Test(
    "--listen takes a port or an address, and a service in every spelling",
    arguments: [
      ("8081=orders:80", "127.66.0.2:8081=orders.shop:80"),
      ("127.0.0.1:8081=orders.shop:80", "127.0.0.1:8081=orders.shop:80"),
      ("[::1]:9000=orders.other.svc.cluster.local:443", "[::1]:9000=orders.other:443"),
    ])
  func listen(text: String, argument: String) throws {
    #expect(try ListenFlag(text, namespace: "shop").argument(workloadAddress: "127.66.0.2") == argument)
  }

  @Test(
    "a wrong --listen says what is wrong and what to write",
    arguments: [
      ("8081", "no \"=\""), ("=orders:80", "not an IP address and port"), ("99999=orders:80", "not a port"),
      ("localhost:80=orders:80", "not an IP address and port"), ("8081=orders", "port is missing; write orders:80"),
      ("8081=orders:0", "\"0\" is not a port"), ("8081=orders:+80", "is not a port"),
      ("8081=Or_ders:80", "is not a service name"), ("8081=10.0.0.1:80", "is not a service name"),
    ])
  func wrongListen(text: String, part: String) {
    let message = message("--service", "web", "--listen", text, "--", "x")
    #expect(message.contains("--listen"))
    #expect(message.contains(part))
  }

  @Test(
    "--upstream completes namespace and port, and names its variable",
    arguments: [
      ("orders", "orders.shop:80", "APUS_UPSTREAM_ORDERS"),
      ("orders-v1.other", "orders-v1.other:80", "APUS_UPSTREAM_ORDERS_V1"),
      ("db:5432", "db.shop:5432", "APUS_UPSTREAM_DB"),
    ])
  func upstream(text: String, service: String, variable: String) throws {
    let flag = try UpstreamFlag(text, namespace: "shop")
    #expect(flag.service.description == service)
    #expect(flag.variable == variable)
  }

  @Test("two upstreams that share a variable are refused")
  func sharedVariable() {
    let message = message("--service", "web", "--upstream", "a.x", "--upstream", "a.y", "--", "x")
    #expect(message.contains("APUS_UPSTREAM_A"))
  }

  @Test("a run without a program says how to write one")
  func noProgram() {
    #expect(message("--service", "web").contains("write it after --"))
  }

  @Test("the program keeps its own options, in order")
  func program() throws {
    let options = try options("--service", "web", "--port", "80", "--port", "81", "--", "ls", "--port", "-n", "--", "x")
    #expect(options.program == ["ls", "--port", "-n", "--", "x"])
    #expect(options.ports == [80, 81])
    #expect(options.serviceAccount == "web")
    #expect(options.namespace == "default")
    #expect(options.drainDelay == .seconds(1))
  }

  @Test(
    "wrong values name their flag",
    arguments: [
      ("--service", "Web"), ("--namespace", "a.b"), ("--port", "0"), ("--label", "novalue"), ("--label", "-x=1"),
      ("--app-address", "example.org"), ("--access-log", "some"), ("--workers", "0"), ("--ready-timeout", "-1"),
      ("--service-account", "a/b"),
    ])
  func wrongValues(flag: String, value: String) {
    let text = message("--service", "web", "\(flag)=\(value)", "--", "x")
    #expect(text.contains(flag))
  }

  // MARK: - Plan

  private func plan(_ options: RunOptions, isFree: (UInt16) -> Bool = { _ in true }) throws -> RunPlan {
    let grant = Grant(
      workload: "web-1", address: "127.66.0.2", token: "secret", controller: "127.66.0.1:15010", trustAnchors: "PEM",
      identity: "spiffe://cluster.local/ns/shop/sa/web")
    return try RunPlan(options: options, grant: grant, isFree: isFree)
  }

  @Test("the proxy's command line has everything but the token, which is in its environment")
  func proxyArguments() throws {
    let plan = try plan(
      options(
        "--service", "web", "-n", "shop", "--port", "8080", "--upstream", "orders", "--listen", "20001=db:5432",
        "--workers", "2", "--app-address", "workload", "--", "x"))
    #expect(
      plan.proxyArguments(trustAnchorsFile: "/s/a.pem", adminTokenFile: "/s/admin") == [
        "apus-proxy", "--workload", "web-1", "--namespace", "shop", "--identity",
        "spiffe://cluster.local/ns/shop/sa/web", "--address",
        "127.66.0.2", "--controller", "127.66.0.1:15010", "--trust-anchors", "/s/a.pem", "--admin-token-file",
        "/s/admin", "--app-address", "127.66.0.2",
        "--access-log", "off", "--workers", "2", "--listen", "127.66.0.2:20002=orders.shop:80", "--listen",
        "127.66.0.2:20001=db.shop:5432",
      ])
    #expect(plan.proxyEnvironment(["A": "1"]) == ["A": "1", "APUS_JOIN_TOKEN": "secret"])
  }

  @Test("the program finds its proxy and upstreams, never the token, and reaches localhost directly")
  func programEnvironment() throws {
    let plan = try plan(options("--service", "web", "-n", "shop", "--upstream", "orders", "--", "x"))
    let environment = plan.programEnvironment(["no_proxy": "corp.example, localhost", "APUS_JOIN_TOKEN": "x", "K": "v"])
    #expect(
      environment == [
        "K": "v", "http_proxy": "http://127.66.0.2:15001", "HTTP_PROXY": "http://127.66.0.2:15001",
        "no_proxy": "corp.example,localhost,127.0.0.1,127.66.0.2",
        "NO_PROXY": "corp.example,localhost,127.0.0.1,127.66.0.2", "APUS_UPSTREAM_ORDERS": "http://127.66.0.2:20001",
        "APUS_WORKLOAD": "web-1", "APUS_WORKLOAD_ADDRESS": "127.66.0.2", "APUS_SERVICE": "web",
        "APUS_NAMESPACE": "shop",
      ])
  }

  @Test("upstream ports that are taken are passed over, and running out of them is an error")
  func upstreamPorts() throws {
    let options = try options("--service", "web", "--upstream", "a", "--upstream", "b", "--", "x")
    #expect(try plan(options) { $0 != 20_002 }.upstreamPorts == [20_001, 20_003])
    #expect(throws: CLIFailure.self) { try plan(options) { _ in false } }
  }
}
