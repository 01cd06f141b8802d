import MeshAPI
import SwiftProtobuf
import Testing

@testable import MeshCLI

@Suite("Plaintext callers in apus check") struct PlaintextReportTests {
  private static let now: Int64 = 1_800_000_000

  private static func caller(
    _ address: String = "127.0.0.1", allowed: Int64 = 0, refused: Int64 = 0, _ processes: [PlaintextReport.Process] = []
  ) -> PlaintextReport.Caller {
    .init(
      address: address, port: 8080, allowed: allowed, refused: refused, firstMs: (now - 3_600) * 1_000,
      lastMs: (now - 60) * 1_000, processes: processes)
  }

  private static func report(
    _ mode: String, _ callers: [PlaintextReport.Caller] = [], forgotten: Int64 = 0
  ) -> PlaintextReport {
    .init(
      startedMs: (now - 7_200) * 1_000, forgotten: forgotten, ports: [.init(port: 8080, mode: mode)], callers: callers)
  }

  private static func check(
    _ reports: [String: PlaintextReport], _ workloads: [Apus_V1_WorkloadStatus] = []
  ) -> [String] {
    let status = Apus_V1_StatusResponse.with {
      $0.workloads =
        workloads.isEmpty ? reports.keys.map { name in .with { $0.name = name } } : workloads
    }
    let items = CheckList.mesh(status, CheckProbes(plaintext: reports), now: now)
    return items.filter { $0.name.contains("plaintext") || $0.name.contains("strict") }
      .map { "\($0.result) \($0.section): \($0.name): \($0.detail)" }
  }

  @Test("a page of a proxy is read") func decoding() throws {
    let text = """
      {"started_ms":1,"forgotten":2,"ports":[{"port":8080,"mode":"strict"}],"callers":[{"address":"10.0.0.1","port":8080,
       "allowed":3,"refused":4,"first_ms":5,"last_ms":6,"processes":[{"name":"curl","pid":7,"user":8,"ancestors":"9 10"}]}]}
      """
    let report = try PlaintextReport.decode(Array(text.utf8))
    #expect(report.forgotten == 2 && report.ports.map(\.mode) == ["strict"] && report.callers.first?.refused == 4)
    #expect(report.callers.first?.processes == [.init(name: "curl", pid: 7, user: 8, ancestors: "9 10")])
  }

  @Test("a caller has its process, its count and its times; a workload's program is named as that") func callers() {
    let curl = PlaintextReport.Process(name: "curl", pid: 77, user: 0, ancestors: "70 1")
    let hidden = PlaintextReport.Process(name: "", pid: 0, user: 1_000, ancestors: "")
    let workloads: [Apus_V1_WorkloadStatus] = [
      .with { $0.name = "orders-1" },
      .with {
        $0.name = "web-1"
        $0.processID = 70
        $0.address = "127.66.0.9"
      },
    ]
    let callers = [
      Self.caller(allowed: 1, [curl, hidden]), Self.caller("127.66.0.9", allowed: 1, refused: 2),
    ]
    let items = Self.check(["orders-1": Self.report("permissive", callers)], workloads)
    #expect(
      items.contains {
        $0.hasPrefix(
          "warning workload orders-1: plaintext caller 127.0.0.1 (curl, process 77 of web-1; a process of user 1000): "
            + "1 request to port 8080 since ") && $0.hasSuffix("(permissive)")
      }, "\(items)")
    #expect(
      items.contains {
        $0.contains("plaintext caller 127.66.0.9 (web-1): 3 requests to port 8080")
          && $0.contains(", 2 refused (permissive)")
      }, "\(items)")
  }

  @Test("strict is safe when nobody came, and how long was watched is said") func safe() {
    let quiet = Self.check(["a": Self.report("permissive"), "b": Self.report("permissive")])
    #expect(quiet.contains { $0.hasPrefix("ok mesh TLS: strict is safe: no workload has had a plaintext caller") })
    let called = Self.check(["a": Self.report("permissive"), "b": Self.report("permissive", [Self.caller(allowed: 1)])])
    #expect(called.contains("warning mesh TLS: strict is safe: not yet: plaintext comes to b"))
    // Nothing is left to switch on.
    let strict = Self.check(["a": Self.report("strict", [Self.caller(refused: 1)])])
    #expect(!strict.contains { $0.contains("strict is safe") }, "\(strict)")
    #expect(Self.check(["a": Self.report("strict")]) == ["ok workload a: no plaintext caller: MeshTLS is strict"])
  }

  @Test("of many callers some are shown and the rest counted, with those that the proxy forgot") func many() {
    let callers = (1...12).map { Self.caller("10.0.0.\($0)", allowed: 1) }
    let items = Self.check(["a": Self.report("permissive", callers, forgotten: 5)])
    #expect(items.count { $0.contains("plaintext caller 10.0.0.") } == 8)
    #expect(items.contains("warning workload a: more plaintext callers: 9"), "\(items)")
  }
}
