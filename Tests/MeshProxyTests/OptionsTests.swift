import MeshCore
import MeshRuntime
import MeshTelemetry
import Testing

@testable import MeshProxy

@Suite("The command line of apus-proxy")
struct OptionsTests {
  static let complete = [
    "--workload", "orders-0", "--identity", "spiffe://cluster.local/ns/shop/sa/orders", "--address", "127.66.0.3",
    "--controller", "127.66.0.1:15010", "--trust-anchors", "/a.pem",
  ]

  private static func problem(_ arguments: [String], token: String = "t") -> String? {
    do {
      _ = try ProxyOptions.parse(arguments, joinToken: token)
      return nil
    } catch {
      return error.description
    }
  }

  @Test("a workload's options, with their defaults")
  func workload() throws {
    let options = try #require(try ProxyOptions.parse(Self.complete, joinToken: "token"))
    #expect(options.workload == "orders-0")
    #expect(options.namespace == "shop")
    #expect(options.identity?.serviceAccount == "orders")
    #expect(options.address.host == "127.66.0.3")
    #expect(options.controller?.description == "127.66.0.1:15010")
    #expect(options.trustAnchorsFile == "/a.pem")
    #expect(options.joinToken == "token")
    #expect(options.applicationHost.host == "127.0.0.1")
    #expect(options.workers == 0)
    #expect(options.accessLog == .off)
    #expect(options.families == .linkerd)
  }

  @Test(
    "the admin port is on the loopback, wherever the others are",
    arguments: [
      ("127.66.0.3", "127.66.0.3"), ("10.1.2.3", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"),
    ])
  func adminAddress(own: String, admin: String) throws {
    let arguments = Self.complete.map { $0 == "127.66.0.3" ? own : $0 }
    let options = try #require(try ProxyOptions.parse(arguments, joinToken: "t"))
    #expect(options.adminAddress.host == admin && options.adminAddress.port == 15000)
  }

  @Test("every option in both forms")
  func all() throws {
    let options = try #require(
      try ProxyOptions.parse(
        Self.complete + [
          "--namespace=other", "--app-address=127.0.0.2", "--listen", "127.0.0.1:8081=orders.shop:80",
          "--listen=127.0.0.1:8082=cart.shop:81", "--forward", "127.0.0.1:9000=127.0.0.1:8000", "--workers=3",
          "--access-log", "sampled=0.5", "--metrics-families", "linkerd,istio",
        ], joinToken: "t"))
    #expect(options.namespace == "other")
    #expect(options.applicationHost.host == "127.0.0.2")
    #expect(
      options.mappedListeners.map { "\($0.local)=\($0.service)" } == [
        "127.0.0.1:8081=orders.shop:80", "127.0.0.1:8082=cart.shop:81",
      ])
    #expect(options.forwards.map { "\($0.local)=\($0.upstream)" } == ["127.0.0.1:9000=127.0.0.1:8000"])
    #expect(options.workers == 3)
    #expect(options.accessLog == .sampled(0.5))
    #expect(options.families.contains(.linkerd))
    #expect(options.families != .linkerd)
  }

  @Test("plain forwarding needs nothing of the mesh")
  func forwarding() throws {
    let options = try #require(try ProxyOptions.parse(["--forward", "127.0.0.1:1=127.0.0.1:2"], joinToken: ""))
    #expect(options.controller == nil)
    #expect(options.namespace == "default")
  }

  @Test("a forward listener's upstream speaks HTTP/1.1 unless told otherwise, and TLS comes from files")
  func forwardOptions() throws {
    let forward = ["--forward", "127.0.0.1:1=127.0.0.1:2"]
    let plain = try #require(try ProxyOptions.parse(forward, joinToken: ""))
    #expect(plain.forwardProtocol == .http1 && !plain.forwardTLS.isEnabled)
    let secure = try #require(
      try ProxyOptions.parse(
        forward + [
          "--forward-protocol", "http2", "--forward-tls-certificate", "/c.pem", "--forward-tls-key=/k.pem",
          "--forward-tls-client-ca", "/ca.pem", "--forward-tls-min-version", "1.3", "--core-dumps", "allow",
        ], joinToken: ""))
    #expect(secure.forwardProtocol == .http2 && secure.forwardTLS.isEnabled)
    #expect(secure.forwardTLS.certificate == "/c.pem" && secure.forwardTLS.key == "/k.pem")
    #expect(secure.forwardTLS.clientCA == "/ca.pem" && secure.forwardTLS.minimumVersion == .tls13)
    #expect(secure.allowsCoreDumps && !plain.allowsCoreDumps && plain.forwardTLS.minimumVersion == .tls12)
  }

  @Test("help is no error", arguments: ["--help", "-h"])
  func help(flag: String) throws {
    #expect(try ProxyOptions.parse([flag], joinToken: "") == nil)
    #expect(ProxyOptions.help.contains("--forward LISTEN=UPSTREAM"))
  }

  @Test(
    "what cannot be used is named, with the form that can",
    arguments: [
      (["orders"], "\"orders\" is not an option; see --help"),
      (["--workload"], "--workload needs a value; see --help"),
      (["--colour", "red"], "unknown option --colour; see --help"),
      (["--identity", "me"], "--identity: \"me\" is not spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT"),
      (["--address", "host"], "--address: \"host\" is not an IP address"),
      (["--controller", "127.0.0.1"], "--controller: \"127.0.0.1\" is not IP:PORT"),
      (["--app-address", "x"], "--app-address: \"x\" is not an IP address"),
      (["--workers", "0"], "--workers: \"0\" is not 1 to 64"),
      (["--workers=65"], "--workers: \"65\" is not 1 to 64"),
      (["--workers", "two"], "--workers: \"two\" is not 1 to 64"),
      (["--access-log", "some"], "--access-log: \"some\" is not off, sampled, sampled=RATE or all"),
      (["--access-log", "sampled=2"], "--access-log: \"sampled=2\" is not off, sampled, sampled=RATE or all"),
      (["--metrics-families", "x"], "--metrics-families: \"x\" is not linkerd, istio or linkerd,istio"),
      (
        ["--listen", "127.0.0.1:1"],
        "--listen: \"127.0.0.1:1\" is not LOCAL=SERVICE.NAMESPACE:PORT, as 127.0.0.1:8081=orders.shop:80"
      ),
      (
        ["--forward", "127.0.0.1:1=x"],
        "--forward: \"127.0.0.1:1=x\" is not LISTEN=UPSTREAM, as 127.0.0.1:9000=127.0.0.1:8000"
      ),
      (
        ["--forward", "127.0.0.1:1=127.0.0.1:2", "--forward-protocol", "h2"],
        "--forward-protocol: \"h2\" is not http1 or http2"
      ),
      (
        ["--forward", "127.0.0.1:1=127.0.0.1:2", "--forward-tls-certificate", "/c"],
        "--forward-tls-key FILE is missing; a certificate and its key go together"
      ),
      (
        ["--forward", "127.0.0.1:1=127.0.0.1:2", "--forward-tls-key", "/k"],
        "--forward-tls-certificate FILE is missing; a certificate and its key go together"
      ),
      (
        ["--forward", "127.0.0.1:1=127.0.0.1:2", "--forward-tls-min-version", "1.3"],
        "--forward-tls-min-version needs --forward-tls-certificate and --forward-tls-key"
      ),
      (
        ["--forward", "127.0.0.1:1=127.0.0.1:2", "--forward-tls-min-version", "1.1"],
        "--forward-tls-min-version: \"1.1\" is not 1.2 or 1.3"
      ),
      (
        ["--forward", "127.0.0.1:1=127.0.0.1:2", "--core-dumps", "maybe"],
        "--core-dumps: \"maybe\" is not allow or forbid"
      ),
      (
        ["--forward", "127.0.0.1:1=127.0.0.1:2", "--forward-tls-client-ca", "/ca"],
        "--forward-tls-client-ca needs --forward-tls-certificate and --forward-tls-key"
      ),
      (
        ["--forward-tls-certificate", "/c", "--forward-tls-key", "/k"],
        "--forward-tls-certificate needs a --forward LISTEN=UPSTREAM to apply to; see --help"
      ),
      (
        ["--forward-protocol", "http2"],
        "--forward-protocol needs a --forward LISTEN=UPSTREAM to apply to; see --help"
      ),
      ([], "--controller IP:PORT (or --forward) is missing; see --help"),
    ] as [([String], String)])
  func errors(arguments: [String], message: String) {
    #expect(Self.problem(arguments) == message)
  }

  @Test(
    "what is missing is named",
    arguments: [
      ("--workload", "--workload NAME is missing; see --help"),
      ("--identity", "--identity SPIFFE-ID is missing; see --help"),
      ("--trust-anchors", "--trust-anchors FILE is missing; see --help"),
    ])
  func missing(option: String, message: String) throws {
    var arguments = Self.complete
    let index = try #require(arguments.firstIndex(of: option))
    arguments.removeSubrange(index...index + 1)
    #expect(Self.problem(arguments) == message)
  }

  @Test("a missing token is named")
  func token() {
    #expect(Self.problem(Self.complete, token: "") == "the environment variable APUS_JOIN_TOKEN is missing")
    #expect(Self.problem(Self.complete) == nil)
  }
}
