import MeshCore
import MeshHTTP
import MeshTelemetry
import Testing

private func text(_ shards: MetricsShard..., families: MetricsFamilies = .linkerd) -> String {
  var process = ProcessMetrics()
  process.version = "1"
  process.workload = "web-1"
  process.identity = "spiffe://cluster.local/ns/shop/sa/web"
  return String(
    decoding: PrometheusText.render(shards.map { $0.snapshot() }, process: process, families: families),
    as: UTF8.self)
}

private func lines(_ text: String, _ prefix: String) -> [String] {
  text.split(separator: "\n").map(String.init).filter { $0.hasPrefix(prefix) }
}

private func key(_ shard: MetricsShard, service: String = "orders", route: String = "r") -> RequestSeriesKey {
  RequestSeriesKey(
    direction: .outbound, security: .mutual, service: shard.labels.id(service), namespace: shard.labels.id("shop"),
    route: shard.labels.id(route), backend: shard.labels.id("orders-v2"), workload: shard.labels.id("w"),
    peer: shard.labels.id("spiffe://x"))
}

private let outboundLabels =
  #"direction="outbound",dst_service="orders",dst_namespace="shop",route_name="r",backend="orders-v2","#
  + #"dst_workload="w",tls="true",server_id="spiffe://x""#

@Suite struct PrometheusTextTests {
  @Test("shards are summed by label set even when their label numbers differ") func merging() {
    let a = MetricsShard()
    let b = MetricsShard()
    _ = b.labels.id("something else first")
    for shard in [a, b] {
      let series = shard.series(for: key(shard))
      shard.recordRequest(series)
      shard.recordResponse(series, status: 200, latency: .milliseconds(2))
    }
    b.recordResponse(b.series(for: key(b)), status: 503, flag: .upstreamConnectionFailure, latency: nil)
    let text = text(a, b)
    #expect(lines(text, "request_total{") == ["request_total{\(outboundLabels)} 2"])
    #expect(
      lines(text, "response_total{") == [
        #"response_total{\#(outboundLabels),status_code="200",classification="success",response_flag="-",grpc_status=""} 2"#,
        #"response_total{\#(outboundLabels),status_code="503",classification="failure",response_flag="UF",grpc_status=""} 1"#,
      ])
    #expect(lines(text, "response_latency_ms_count").first?.hasSuffix(" 2") == true)
    #expect(lines(text, "response_latency_ms_sum").first?.hasSuffix(" 4") == true)
  }

  @Test("repeats are summed by their labels, those that the budget refused in a family of their own")
  func retries() {
    let shards = [MetricsShard(maximumSeries: 3), MetricsShard(maximumSeries: 3)]
    func key(_ shard: MetricsShard, _ backend: String, _ reason: RetryReason?) -> RetrySeriesKey {
      RetrySeriesKey(
        direction: .outbound, service: shard.labels.id("orders"), namespace: shard.labels.id("shop"),
        route: shard.labels.id("r"), backend: shard.labels.id(backend), reason: reason)
    }
    _ = shards[1].labels.id("something else first")
    for shard in shards {
      shard.countRetry(key(shard, "a", .status))
      shard.countRetry(key(shard, "a", .reset))
      shard.countRetry(key(shard, "a", nil))
    }
    shards[0].countRetry(key(shards[0], "b", .status))
    let labels = #"direction="outbound",dst_service="orders",dst_namespace="shop",route_name="r",backend="a""#
    let text = text(shards[0], shards[1])
    let overflow = lines(text, "retries_total{").filter { $0.contains("overflow") }
    #expect(overflow.count == 1)
    #expect(overflow.first?.hasSuffix(#"backend="overflow",reason="status"} 1"#) == true)
    #expect(
      lines(text, "retries_total{").filter { !$0.contains("overflow") } == [
        #"retries_total{\#(labels),reason="reset"} 2"#, #"retries_total{\#(labels),reason="status"} 2"#,
      ])
    #expect(lines(text, "retry_overflow_total{") == ["retry_overflow_total{\(labels)} 2"])
    #expect(lines(text, "metrics_series_overflow_total") == ["metrics_series_overflow_total 1"])
  }

  @Test(
    "a gRPC call is classified by its status, and one without a status by whether the client ended it",
    arguments: [
      (.status(.ok), "0", "success"), (.status(.cancelled), "1", "success"), (.status(.unknown), "2", "failure"),
      (.status(.invalidArgument), "3", "success"), (.status(.deadlineExceeded), "4", "failure"),
      (.status(.notFound), "5", "success"), (.status(.resourceExhausted), "8", "failure"),
      (.status(.unimplemented), "12", "success"), (.status(.internal), "13", "failure"),
      (.status(.unavailable), "14", "failure"), (.status(.dataLoss), "15", "failure"),
      (.status(.unauthenticated), "16", "success"), (.unrecognized, "invalid", "failure"),
      (.noStatus, "none", "failure"), (.notGRPC, "", "success"),
    ] as [(GRPCOutcome, String, String)])
  func classification(_ outcome: GRPCOutcome, _ label: String, _ classification: String) {
    let shard = MetricsShard()
    let series = shard.series(for: key(shard))
    shard.recordResponse(series, status: 200, grpc: outcome, latency: nil)
    shard.recordResponse(series, status: 200, flag: .downstreamTermination, grpc: .noStatus, latency: nil)
    let line = lines(text(shard), "response_total{").first { $0.contains("response_flag=\"-\"") }
    #expect(line?.contains(#"classification="\#(classification)""#) == true, "\(line ?? "")")
    #expect(line?.contains(#"grpc_status="\#(label)""#) == true)
    let ended = lines(text(shard), "response_total{").first { $0.contains("response_flag=\"DC\"") }
    #expect(ended?.contains(#"classification="success""#) == true)
  }

  @Test("Istio's series tell gRPC from HTTP in requests and latencies") func istioGRPC() {
    let shard = MetricsShard()
    var call = key(shard)
    call.isGRPC = true
    shard.recordResponse(shard.series(for: call), status: 200, grpc: .status(.unavailable), latency: .milliseconds(1))
    shard.recordResponse(shard.series(for: key(shard)), status: 200, latency: .milliseconds(1))
    let istio = text(shard, families: .istio)
    let requests = lines(istio, "istio_requests_total{")
    #expect(
      requests.contains { $0.contains(#"request_protocol="grpc""#) && $0.contains(#"grpc_response_status="14""#) })
    #expect(requests.contains { $0.contains(#"request_protocol="http""#) && $0.contains(#"grpc_response_status="""#) })
    #expect(lines(istio, "istio_request_duration_milliseconds_count{").count == 2)
    // Linkerd's families have no such label: both kinds are one series there.
    #expect(lines(text(shard), "response_latency_ms_count{").count == 1)
  }

  @Test("a request that got no response is a failure with status 0") func noResponse() {
    let shard = MetricsShard()
    shard.recordResponse(shard.series(for: key(shard)), status: 0, flag: .downstreamTermination, latency: nil)
    #expect(
      lines(text(shard), "response_total{").first?.contains(
        #"status_code="0",classification="failure",response_flag="DC""#) == true)
  }

  @Test(
    "a latency on a bound falls into that bound's bucket, one above into the next",
    arguments: [
      (0, "0.25"), (250_000, "0.25"), (250_001, "0.5"), (999_999, "1"), (1_000_000, "1"), (1_000_001, "2"),
      (100_000_000, "100"), (50_000_000_000, "50000"), (50_000_000_001, "+Inf"), (-5, "0.25"),
    ] as [(Int64, String)])
  func buckets(_ nanoseconds: Int64, _ bound: String) {
    let shard = MetricsShard()
    shard.recordResponse(shard.series(for: key(shard)), status: 200, latency: .nanoseconds(nanoseconds))
    let buckets = lines(text(shard), "response_latency_ms_bucket")
    #expect(buckets.count == LatencyBuckets.count)
    let first = buckets.first { $0.hasSuffix(" 1") }
    #expect(first?.contains("le=\"\(bound)\"") == true)
    #expect(buckets.last?.hasSuffix(" 1") == true)
  }

  @Test("quotes, backslashes and line feeds in label values are escaped") func escaping() {
    let shard = MetricsShard()
    shard.recordRequest(shard.series(for: key(shard, service: "a\"b\\c\nd")))
    #expect(lines(text(shard), "request_total{").first?.contains(#"dst_service="a\"b\\c\nd""#) == true)
  }

  @Test("every family has one HELP and one TYPE line before its samples, and two renderings are equal") func shape() {
    let shard = MetricsShard()
    let series = shard.series(for: key(shard))
    shard.recordRequest(series)
    shard.recordResponse(series, status: 200, latency: .milliseconds(1))
    shard.connectionOpened(ConnectionSeries(.inbound, .source, .mutual))
    shard.tlsFailure(.inbound, "expired")
    let text = text(shard, families: [.linkerd, .istio])
    #expect(text == PrometheusTextTests.again(shard))
    var declared: Set<String> = []
    for line in text.split(separator: "\n") {
      if line.hasPrefix("# TYPE ") {
        #expect(declared.insert(String(line.split(separator: " ")[2])).inserted)
      } else if !line.hasPrefix("#") {
        let name = line.prefix { $0 != "{" && $0 != " " }
        let family = ["_bucket", "_sum", "_count"].lazy.compactMap { suffix in
          name.hasSuffix(suffix) ? String(name.dropLast(suffix.count)) : nil
        }.first { declared.contains($0) }
        #expect(declared.contains(String(name)) || family != nil, "\(line)")
      }
    }
  }

  private static func again(_ shard: MetricsShard) -> String { text(shard, families: [.linkerd, .istio]) }

  @Test("Istio's names appear only when asked for, with both principals") func istio() {
    let shard = MetricsShard()
    shard.recordResponse(shard.series(for: key(shard)), status: 200, latency: .milliseconds(1))
    #expect(!text(shard).contains("istio_"))
    let istio = text(shard, families: .istio)
    #expect(lines(istio, "request_total").isEmpty)
    let line = lines(istio, "istio_requests_total{").first ?? ""
    for part in [
      #"reporter="source""#, #"source_workload="web-1""#, #"destination_service="orders.shop.svc.cluster.local""#,
      #"source_principal="spiffe://cluster.local/ns/shop/sa/web""#, #"destination_principal="spiffe://x""#,
      #"response_code="200""#, #"response_flags="-""#, #"connection_security_policy="mutual_tls""#,
    ] { #expect(line.contains(part), "\(line)") }
    #expect(lines(istio, "istio_request_duration_milliseconds_count").count == 1)
  }

  @Test("connections, bytes and reasons are counted") func connections() {
    let shard = MetricsShard()
    let kind = ConnectionSeries(.outbound, .destination, .none)
    for _ in 0..<3 { shard.connectionOpened(kind) }
    shard.connectionClosed(kind)
    shard.connectionMoved(kind, read: 10, written: 20)
    shard.tlsFailure(.inbound, "expired")
    shard.tlsFailure(.inbound, "expired")
    shard.tlsHandshake(.inbound, resumed: true)
    for _ in 0..<3 { shard.tlsHandshake(.outbound, resumed: false) }
    shard.protocolError(.inbound, "bare_cr")
    shard.limitHit("header_bytes")
    let text = text(shard)
    let labels = #"{direction="outbound",peer="dst",tls="no_identity"}"#
    for line in [
      "tcp_open_connections\(labels) 2", "tcp_open_total\(labels) 3", "tcp_close_total\(labels) 1",
      "tcp_read_bytes_total\(labels) 10", "tcp_write_bytes_total\(labels) 20",
      #"tls_handshake_failures_total{direction="inbound",reason="expired"} 2"#,
      #"tls_handshakes_total{direction="inbound",resumed="true"} 1"#,
      #"tls_handshakes_total{direction="outbound",resumed="false"} 3"#,
      #"protocol_errors_total{direction="inbound",reason="bare_cr"} 1"#, #"limit_hits_total{limit="header_bytes"} 1"#,
    ] { #expect(text.contains(line + "\n"), "\(line)") }
  }

  @Test("family names are read from a list") func families() {
    #expect(MetricsFamilies("linkerd,istio") == [.linkerd, .istio])
    #expect(MetricsFamilies("istio") == .istio)
    #expect(MetricsFamilies("other") == nil)
    #expect(MetricsFamilies("") == nil)
  }
}

@Suite struct CardinalityTests {
  @Test("past the limit requests are counted in one overflow series per direction") func series() {
    let shard = MetricsShard(maximumSeries: 10)
    for i in 0..<50 { shard.recordRequest(shard.series(for: key(shard, route: "r\(i)"))) }
    let requests = lines(text(shard), "request_total{")
    #expect(requests.count == 11)
    #expect(requests.first { $0.contains("overflow") }?.hasSuffix(" 40") == true)
    #expect(lines(text(shard), "metrics_series_overflow_total") == ["metrics_series_overflow_total 40"])
    #expect(lines(text(shard), "request_total{").filter { $0.contains(#"tls="overflow""#) }.count == 1)
  }

  @Test("past the limit responses are counted as overflow and keep their classification") func responses() {
    let shard = MetricsShard(maximumSeries: 10)
    let series = shard.series(for: key(shard))
    for status in UInt16(200)..<250 { shard.recordResponse(series, status: status, latency: nil) }
    for status in UInt16(500)..<530 { shard.recordResponse(series, status: status, latency: nil) }
    let responses = lines(text(shard), "response_total{")
    #expect(responses.count == 12)
    let overflow = responses.filter { $0.contains(#"status_code="overflow""#) }
    #expect(overflow.first { $0.contains(#"classification="success""#) }?.hasSuffix(" 40") == true)
    #expect(overflow.first { $0.contains(#"classification="failure""#) }?.hasSuffix(" 30") == true)
  }

  @Test("past the limit of labels new values read overflow and old ones stay") func labels() {
    let labels = LabelInterner(maximum: 4)
    let first = labels.id("a")
    _ = labels.id("b")
    #expect(labels.id("c") == LabelInterner.overflow)
    #expect(labels.id("a") == first)
    #expect(labels.string(first) == "a")
    #expect(labels.string(LabelInterner.empty) == "")
  }
}
