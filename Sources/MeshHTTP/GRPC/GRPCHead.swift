import MeshCore

// What gRPC over HTTP/2 keeps in the fields of a message.
extension MessageHead {
  /// The request is a gRPC call: POST with the content type `application/grpc`, `application/grpc+...` or
  /// `application/grpc;...`. gRPC-Web (`application/grpc-web`) frames its trailers otherwise and is ordinary HTTP.
  package var isGRPCRequest: Bool { method == .post && hasGRPCContentType }

  package var hasGRPCContentType: Bool {
    guard let type = value(.contentType) else { return false }
    return Self.isGRPC(contentType: type)
  }

  static func isGRPC(contentType: UnsafeRawBufferPointer) -> Bool {
    let name: StaticString = "application/grpc"
    let length = name.utf8CodeUnitCount
    guard contentType.count >= length else { return false }
    let prefix = UnsafeRawBufferPointer(start: name.utf8Start, count: length)
    guard contentType.slice(0, length).equalsIgnoringCase(prefix) else { return false }
    return contentType.count == length || contentType[length] == 0x2B || contentType[length] == 0x3B
  }

  /// Appends `grpc-status` and `grpc-message`.
  package func appendGRPCStatus(_ status: GRPCStatus, message: StaticString) {
    let text = UnsafeRawBufferPointer(start: message.utf8Start, count: message.utf8CodeUnitCount)
    appendGRPCStatus(status, message: text)
  }

  /// `message` may be any bytes.
  package func appendGRPCStatus(_ status: GRPCStatus, message: UnsafeRawBufferPointer) {
    append(.grpcStatus, status.digits)
    Self.withPercentEncoding(of: message) { append(.grpcMessage, $0) }
  }

  /// Calls `body` with `text` as `grpc-message` carries it: bytes outside of printable ASCII, and `%`, become `%XX`.
  static func withPercentEncoding(of text: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
    withUnsafeTemporaryAllocation(byteCount: max(1, 3 * text.count), alignment: 1) { encoded in
      var count = 0
      for byte in text {
        if byte >= 0x20 && byte <= 0x7E && byte != 0x25 {
          encoded[count] = byte
          count += 1
        } else {
          encoded[count] = 0x25
          encoded[count + 1] = hexDigit(byte >> 4)
          encoded[count + 2] = hexDigit(byte & 15)
          count += 3
        }
      }
      body(UnsafeRawBufferPointer(rebasing: encoded[..<count]))
    }
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }
}
