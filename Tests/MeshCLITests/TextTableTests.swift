import MeshControl
import Testing

@testable import MeshCLI

@Suite struct TextTableTests {
  @Test("columns are as wide as their widest cell, numbers stand at the right, and no line ends in spaces")
  func golden() {
    var table = TextTable([.init("SERVICE"), .init("RPS", .right), .init("NOTE")])
    table.add("web", "120.5rps", "")
    table.add("orders-v1", "7.0rps", "slow")
    #expect(
      table.render() == """
        SERVICE         RPS  NOTE
        web        120.5rps  -
        orders-v1    7.0rps  slow

        """)
  }

  @Test("a cell cannot drive the terminal or break its line")
  func controlCharacters() {
    var table = TextTable([.init("A"), .init("B")])
    table.add("x\u{1B}[2Jy", "1\n2\r\n3")
    #expect(table.render() == "A       B\nx [2Jy  1 2 3\n")
  }

  @Test("a wide character counts as one column cell")
  func unicode() {
    var table = TextTable([.init("A"), .init("B")])
    table.add("é", "1")
    #expect(table.render(indent: "  ") == "  A  B\n  é  1\n")
  }

  @Test("services without traffic show dashes; the namespace column comes with the second namespace")
  func services() {
    var busy = TrafficStats(seconds: 2)
    busy.requests = 20
    busy.successes = 19
    busy.failures = 1
    busy.secured = 20
    busy.latency = Histogram([1: 10, 2: 20, .infinity: 20])
    let lines: [MeshStats.ServiceLine] = [
      .init(service: "web", namespace: "shop", meshed: 2, ready: 1, stats: busy),
      .init(service: "idle", namespace: "shop", meshed: 1, ready: 1, stats: .init(seconds: 2)),
    ]
    #expect(
      StatTable.services(lines) == """
        SERVICE  MESHED  READY  SUCCESS      RPS  LATENCY_P50  LATENCY_P95  LATENCY_P99   TLS
        web           2      1   95.00%  10.0rps        1.0ms        1.9ms        2.0ms  100%
        idle          1      1        -        -            -            -            -     -

        """)
    let other = MeshStats.ServiceLine(service: "a", namespace: "b", meshed: 0, ready: 0, stats: .init(seconds: 1))
    #expect(StatTable.services(lines + [other]).hasPrefix("NAMESPACE  SERVICE"))
  }

  @Test("backends show each caller's shares")
  func backends() {
    var stats = TrafficStats(seconds: 1)
    stats.requests = 90
    stats.successes = 90
    let line = MeshStats.BackendLine(from: "web", service: "orders", backend: "orders-v1", stats: stats, share: 0.9)
    #expect(
      StatTable.backends([line]) == """
        FROM  SERVICE  BACKEND     SHARE  SUCCESS      RPS  LATENCY_P50  LATENCY_P95  LATENCY_P99
        web   orders   orders-v1  90.00%  100.00%  90.0rps            -            -            -

        """)
  }
}
