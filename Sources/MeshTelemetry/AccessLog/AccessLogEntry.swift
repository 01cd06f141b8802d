package import MeshCore
package import MeshHTTP

/// What one line of the access log says about one request.
///
/// Byte ranges are borrowed: they must stay valid until `AccessLogEncoder.append` returns. Empty values are left out of
/// the line.
package struct AccessLogEntry {
  /// When the request's head arrived, Unix time.
  package var unixMilliseconds: Int64 = 0
  package var direction = TrafficDirection.inbound
  package var method = UnsafeRawBufferPointer(start: nil, count: 0)
  /// With the query; the encoder leaves it out unless told otherwise.
  package var path = UnsafeRawBufferPointer(start: nil, count: 0)
  package var authority = UnsafeRawBufferPointer(start: nil, count: 0)
  package var requestID = UnsafeRawBufferPointer(start: nil, count: 0)
  /// Protocol of the client's side.
  package var protocolIn = MessageHead.Version.http11
  /// Protocol of the server's side; nil when no connection was used.
  package var protocolOut: MessageHead.Version?
  /// 0 when no response was sent.
  package var status: UInt16 = 0
  package var flag = ResponseFlag.none
  package var grpc = GRPCOutcome.notGRPC
  /// Body bytes from the client and to the client.
  package var bytesIn: UInt64 = 0
  package var bytesOut: UInt64 = 0
  /// From the request's head to the last byte of the response.
  package var duration = TimeSpan.zero
  /// From the request's head to the first byte of the response's head; nil when there was none.
  package var upstreamLatency: TimeSpan?
  /// Injected faults, as `shop/slow-payments:delay`, with commas between them.
  package var faults = ""
  /// What decided that the client may not do this, or audited it: `deny by shop/no-admin`.
  package var authorization = ""
  /// Why a token was refused.
  package var refusedToken: StaticString = ""
  package var service = ""
  package var route = ""
  package var backend = ""
  package var endpoint: SocketAddress?
  package var workload = ""
  package var clientID = ""
  package var serverID = ""

  package init() {}
}
