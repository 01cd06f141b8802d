import MeshAPI
import MeshControl
import Testing

@testable import MeshCLI

@Suite struct SupportTests {
  @Test("the state directory is the flag, APUS_STATE_DIR, XDG_STATE_HOME/apus or ~/.local/state/apus, in this order")
  func stateDirectory() throws {
    func path(_ flag: String?, _ environment: [String: String]) throws -> String {
      try StateDirectory.resolve(flag: flag, environment: environment).path
    }
    let all = ["APUS_STATE_DIR": "/a", "XDG_STATE_HOME": "/x", "HOME": "/h"]
    #expect(try path("/flag", all) == "/flag")
    #expect(try path(nil, all) == "/a")
    #expect(try path(nil, ["APUS_STATE_DIR": "", "XDG_STATE_HOME": "/x", "HOME": "/h"]) == "/x/apus")
    #expect(try path(nil, ["XDG_STATE_HOME": "relative", "HOME": "/h"]) == "/h/.local/state/apus")
    #expect(throws: CLIFailure.self) { try path(nil, [:]) }
  }

  @Test("a socket path that the kernel cannot hold is refused with the fix")
  func socketPath() {
    let directory = StateDirectory(path: "/" + String(repeating: "d", count: 95))
    #expect(throws: CLIFailure.self) { try directory.checkSocketPath() }
    #expect(throws: Never.self) { try StateDirectory(path: "/short").checkSocketPath() }
  }

  @Test("lengths of time show their two largest units")
  func durations() {
    let cases: [Int64: String] = [
      0: "0s", 59: "59s", 61: "1m01s", 10_920: "3h02m", 3_459_600: "40d01h", -90: "-1m30s",
    ]
    for (seconds, text) in cases { #expect(Format.duration(seconds: seconds) == text) }
  }

  @Test("--window takes ms, s, m and plain seconds, within limits")
  func windows() {
    #expect(WindowFlag.seconds("500ms") == 0.5)
    #expect(WindowFlag.seconds("5s") == 5)
    #expect(WindowFlag.seconds("1m") == 60)
    #expect(WindowFlag.seconds("7") == 7)
    #expect(WindowFlag.seconds("0s") == nil)
    #expect(WindowFlag.seconds("1h") == nil)
  }

  @Test("answers with a length, in chunks, and up to the close are read; cut ones are not taken for whole")
  func answers() {
    func body(_ text: String) -> String? {
      HTTPAnswer.parse(Array(text.utf8)).map { "\($0.status) " + String(decoding: $0.body, as: UTF8.self) }
    }
    #expect(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd") == "200 abc")
    #expect(
      body("HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") == "503 abcde")
    #expect(body("HTTP/1.0 200 OK\r\n\r\nrest") == "200 rest")
    #expect(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab") == nil)
    #expect(body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab") == nil)
    #expect(body("SSH-2.0-x\r\n\r\n") == nil)
  }

  @Test("the canary steps go round")
  func splits() throws {
    #expect(DemoShop.Split("50/50") == DemoShop.Split(v1: 50, v2: 50))
    for wrong in ["", "50", "50/", "-1/2", "0/0", "1/2/3"] { #expect(DemoShop.Split(wrong) == nil) }
    var split = DemoShop.Split.first
    var seen: [String] = []
    for _ in 0..<5 {
      seen.append("\(split)")
      split = split.next
    }
    #expect(seen == ["90/10", "50/50", "10/90", "0/100", "90/10"])
  }

  // MARK: - Checks

  private let now: Int64 = 1_800_000_000

  private func status(_ change: (inout Apus_V1_StatusResponse) -> Void = { _ in }) -> Apus_V1_StatusResponse {
    var workload = Apus_V1_WorkloadStatus()
    workload.name = "web-1"
    workload.service = "web"
    workload.namespace = "shop"
    workload.address = "127.66.0.2"
    workload.ready = true
    workload.connected = true
    workload.sentVersion = 3
    workload.ackedVersion = 3
    workload.proxyVersion = "0.1.0"
    workload.certificateNotAfter = now + 86_400
    var status = Apus_V1_StatusResponse()
    status.version = "0.1.0"
    status.trustDomain = "cluster.local"
    status.manifestDirectory = "/m"
    status.startedMs = (now - 3700) * 1000
    status.configTimeMs = (now - 5) * 1000
    status.rootNotAfter = now + 365 * 86_400
    status.issuerNotAfter = now + 90 * 86_400
    status.workloads = [workload]
    change(&status)
    return status
  }

  private func verdicts(_ status: Apus_V1_StatusResponse, meshPort: Bool = true) -> [Mark] {
    CheckList.mesh(status, CheckProbes(meshPorts: ["web-1": meshPort]), now: now).map(\.result)
  }

  @Test("a healthy mesh passes every check")
  func healthy() {
    #expect(verdicts(status()).allSatisfy { $0 == .ok })
  }

  @Test(
    "the last 60 days of root and issuer warn, 30 warn more urgently, and 10 fail",
    arguments: [
      (Int64(61), Mark.ok, ""), (59, .warning, "soon"), (29, .warning, "now"), (9, .error, "now"), (-1, .error, "now"),
    ])
  func authority(days: Int64, result: Mark, urgency: String) throws {
    let end = now + days * 86_400
    for (role, change) in [
      ("root", { $0.rootNotAfter = end }), ("issuer", { $0.issuerNotAfter = end }),
    ] as [(String, (inout Apus_V1_StatusResponse) -> Void)] {
      let items = CheckList.mesh(status(change), CheckProbes(), now: now)
      let item = try #require(items.first { $0.name.hasPrefix("\(role) certificate") })
      #expect(item.result == result)
      #expect(item.hint == nil ? urgency.isEmpty : item.hint?.hasPrefix("\(urgency), ") == true)
      #expect(items.filter { $0.result != .ok }.count == (result == .ok ? 0 : 1))
    }
  }

  @Test("a root that signs workloads' certificates itself is worth a warning")
  func oldAuthority() {
    #expect(verdicts(status { $0.issuerNotAfter = 0 }).contains(.warning))
  }

  @Test("each fault of a workload fails its own check with a hint")
  func faults() {
    let faults: [(inout Apus_V1_WorkloadStatus) -> Void] = [
      { $0.connected = false }, { $0.rejected = "bad regex" }, { $0.certificateNotAfter = 0 },
      { $0.certificateNotAfter = self.now - 1 },
    ]
    for fault in faults {
      let items = CheckList.mesh(status { fault(&$0.workloads[0]) }, CheckProbes(), now: now)
      let failed = items.filter { $0.result == .error }
      #expect(failed.count == 1)
      #expect(failed.allSatisfy { $0.hint != nil })
    }
    #expect(verdicts(status(), meshPort: false).contains(.error))
    #expect(verdicts(status { $0.workloads[0].ackedVersion = 2 }).contains(.warning))
  }

  @Test("a state directory or root key that others can use fails")
  func permissions() {
    let directory = StateDirectory(path: "/s")
    func results(_ probes: CheckProbes) -> [Mark] { CheckList.files(directory, probes).map(\.result) }
    #expect(results(.init(stateDirectoryMode: 0o700, keyMode: 0o600)) == [.ok, .ok, .ok])
    #expect(results(.init(stateDirectoryMode: 0o722, keyMode: 0o640)) == [.ok, .error, .error])
    #expect(results(.init()) == [.error])
  }

  @Test("the check list shows marks, details and hints, and ends with the verdict")
  func checkText() {
    let items = [
      CheckItem("a", "one", .ok, "fine"), CheckItem("a", "two", .warning, hint: "soon"),
      CheckItem("b", "three", .error),
    ]
    #expect(
      CheckList.render(items, color: false) == """
        a
        ✔ one: fine
        ‼ two
            hint: soon

        b
        ✘ three

        result: ✘

        """)
  }

  @Test("the status page names versions, states and manifest errors")
  func statusText() {
    let status = status {
      $0.workloads[0].ackedVersion = 2
      var service = Apus_V1_ServiceStatus()
      service.name = "web"
      service.namespace = "shop"
      service.ports = [80, 443]
      service.endpoints = 1
      $0.services = [service]
      var error = Apus_V1_ManifestError()
      error.file = "a.yaml"
      error.line = 3
      error.column = 7
      error.object = "HTTPRoute shop/orders"
      error.message = "no rules"
      error.fix = "add one"
      error.stale = true
      $0.errors = [error]
    }
    #expect(
      MeshReport(status, now: Double(now)).render(now: now) == """
        control plane  0.1.0, up 1h01m
        manifests      /m
        configuration  5s old
        trust domain   cluster.local, root valid for 365d00h

        NAME   SERVICE   ADDRESS     READY  PROXY  CONFIG     CERT-LEFT
        web-1  web.shop  127.66.0.2  yes    0.1.0  3/2 STALE      1d00h

        SERVICE   PORTS   ENDPOINTS  ROUTES
        web.shop  80,443          1  -

        problems in manifests
          a.yaml:3:7: HTTPRoute shop/orders: no rules; add one (the last good version stays in force)

        """)
  }
}
