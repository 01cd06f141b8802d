import MeshCore
import MeshTelemetry
import Testing

@testable import MeshProxy

@Suite("What the proxy tells about its requests")
struct ReportTests {
  @Test("requests and answers are counted by service, status and flag, and connections by side")
  func metrics() throws {
    let backend = Backend.answering {
      $0.startLine.contains("fail")
        ? "HTTP/1.1 500 E\r\nContent-Length: 0\r\n\r\n" : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    }
    let proxy = try TestProxy.serving([backend.address])
    let client = try proxy.connect()
    for path in ["/", "/", "/fail"] { _ = try client.exchange("GET \(path) HTTP/1.1\r\nHost: orders\r\n\r\n") }
    let labels = "dst_service=\"orders\""
    #expect(try proxy.count("request_total", labels, "dst_namespace=\"shop\"", "direction=\"outbound\"") == 3)
    #expect(try proxy.count("request_total", "route_name=\"httproute/shop/orders#0\"", "backend=\"orders\"") == 3)
    #expect(try proxy.count("response_total", labels, "status_code=\"200\"", "classification=\"success\"") == 2)
    #expect(try proxy.count("response_total", labels, "status_code=\"500\"", "classification=\"failure\"") == 1)
    #expect(try proxy.count("response_total", "dst_workload=\"orders-0\"", "response_flag=\"-\"") == 3)
    #expect(try proxy.count("response_latency_ms_count", labels) == 3)
    #expect(try proxy.count("tcp_open_total", "peer=\"src\"") == 1)
    #expect(try proxy.count("tcp_open_connections", "peer=\"src\"") == 1)
    client.close()
    #expect(try proxy.becomes { $0.downstreamConnectionCount == 0 })
    #expect(try proxy.count("tcp_open_connections", "peer=\"src\"") == 0)
    #expect(try proxy.count("tcp_read_bytes_total", "peer=\"src\"") == 100)
    #expect(try proxy.count("tcp_write_bytes_total", "peer=\"src\"") > 100)
  }

  @Test("a connection to a plaintext endpoint is counted in the direction of its traffic")
  func upstreamDirection() throws {
    let backend = Backend.named("b")
    let proxy = try TestProxy.serving([backend.address])
    _ = try proxy.connect().exchange("GET / HTTP/1.1\r\nHost: orders\r\n\r\n")
    #expect(try proxy.count("tcp_open_total", "peer=\"dst\"", "direction=\"outbound\"") == 1)
    #expect(try proxy.count("tcp_open_total", "peer=\"dst\"", "direction=\"inbound\"") == 0)
  }

  @Test("an access log line says who asked what, where it went and what came back")
  func accessLog() throws {
    let backend = Backend.named("body")
    let proxy = try TestProxy.serving([backend.address], accessLog: .all)
    let client = try proxy.connect()
    _ = try client.exchange(
      "POST /a/b?token=secret HTTP/1.1\r\nHost: orders\r\nX-Request-Id: r-1\r\nContent-Length: 3\r\n\r\nabc")
    _ = try client.exchange("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    _ = try proxy.onLoop { $0.accessLog.flush() }
    let lines = proxy.log.lines
    try #require(lines.count == 2)
    let fields = [
      #""direction":"outbound""#, #""method":"POST""#, #""path":"/a/b""#, #""authority":"orders""#,
      #""protocol_in":"HTTP/1.1""#, #""protocol_out":"HTTP/1.1""#, #""status":200"#, #""flag":"-""#, #""bytes_in":3"#,
      #""bytes_out":4"#, #""service":"orders.shop:80""#, #""route":"httproute/shop/orders#0""#,
      #""backend":"orders.shop:80""#, #""endpoint":"127.0.0.1:\#(backend.port)""#, #""workload":"orders-0""#,
      #""request_id":"r-1""#, #""duration_ms":"#, #""upstream_ms":"#,
    ]
    for field in fields { #expect(lines[0].contains(field), "\(field) in \(lines[0])") }
    #expect(!lines[0].contains("secret"))
    #expect(lines[1].contains(#""status":400"#))
    #expect(lines[1].contains(#""flag":"DPE""#))
    #expect(!lines[1].contains("endpoint"))
  }
}
