package import MeshCore
package import MeshHTTP

/// Writes access log entries as JSON lines (RFC 8259), without an allocation of its own.
package enum AccessLogEncoder {
  /// Longest value written; longer ones are cut and end in an ellipsis.
  package static let maximumValueBytes = 4096

  /// Appends one line. `includingQuery` keeps the path's query, which often carries secrets.
  package static func append(_ entry: AccessLogEntry, to out: ByteQueue, includingQuery: Bool = false) {
    let path = includingQuery ? entry.path : withoutQuery(entry.path)
    var json = JSONCursor(out.reserve(room(for: entry, path: path)).baseAddress.unsafelyUnwrapped)
    json.append("{\"time\":\"")
    appendTime(entry.unixMilliseconds, to: &json)
    json.append("\",\"direction\":\"")
    json.append(entry.direction.text)
    json.append("\"")
    append("method", entry.method, to: &json)
    append("path", path, to: &json)
    append("authority", entry.authority, to: &json)
    append("protocol_in", entry.protocolIn.text, to: &json)
    if let version = entry.protocolOut { append("protocol_out", version.text, to: &json) }
    append("status", number: UInt64(entry.status), to: &json)
    append("flag", entry.flag.code, to: &json)
    if entry.grpc != .notGRPC { append("grpc_status", entry.grpc.label, to: &json) }
    append("faults", entry.faults, to: &json)
    append("authorization", entry.authorization, to: &json)
    if entry.refusedToken.utf8CodeUnitCount > 0 { append("token", entry.refusedToken, to: &json) }
    append("bytes_in", number: entry.bytesIn, to: &json)
    append("bytes_out", number: entry.bytesOut, to: &json)
    append("duration_ms", milliseconds: entry.duration, to: &json)
    if let latency = entry.upstreamLatency { append("upstream_ms", milliseconds: latency, to: &json) }
    append("service", entry.service, to: &json)
    append("route", entry.route, to: &json)
    append("backend", entry.backend, to: &json)
    if let endpoint = entry.endpoint { append("endpoint", endpoint, to: &json) }
    append("workload", entry.workload, to: &json)
    append("client_id", entry.clientID, to: &json)
    append("server_id", entry.serverID, to: &json)
    append("request_id", entry.requestID, to: &json)
    json.append("}\n")
    out.commit(json.count)
  }

  /// Keys, numbers and the time take less than 1,024 bytes.
  private static func room(for entry: AccessLogEntry, path: UnsafeRawBufferPointer) -> Int {
    func room(_ count: Int) -> Int { JSONCursor.room(count, limit: maximumValueBytes) }
    let borrowed =
      room(entry.method.count) + room(path.count) + room(entry.authority.count) + room(entry.requestID.count)
    let names = room(entry.service.utf8.count) + room(entry.route.utf8.count) + room(entry.backend.utf8.count)
    let peers = room(entry.workload.utf8.count) + room(entry.clientID.utf8.count) + room(entry.serverID.utf8.count)
    return 1024 + borrowed + names + peers + room(entry.faults.utf8.count) + room(entry.authorization.utf8.count)
  }

  private static func withoutQuery(_ path: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    for i in 0..<path.count where path[i] == UInt8(ascii: "?") { return path.slice(0, i) }
    return path
  }

  // MARK: - Members

  private static func appendKey(_ key: StaticString, to json: inout JSONCursor) {
    json.append(",\"")
    json.append(key)
    json.append("\":")
  }

  private static func append(_ key: StaticString, _ value: UnsafeRawBufferPointer, to json: inout JSONCursor) {
    guard value.count > 0 else { return }
    appendKey(key, to: &json)
    json.string(value, limit: maximumValueBytes)
  }

  private static func append(_ key: StaticString, _ value: String, to json: inout JSONCursor) {
    guard !value.isEmpty else { return }
    var value = value
    value.withUTF8 { append(key, UnsafeRawBufferPointer($0), to: &json) }
  }

  private static func append(_ key: StaticString, _ value: StaticString, to json: inout JSONCursor) {
    appendKey(key, to: &json)
    json.append("\"")
    json.append(value)
    json.append("\"")
  }

  private static func append(_ key: StaticString, number: UInt64, to json: inout JSONCursor) {
    appendKey(key, to: &json)
    json.append(decimal: number)
  }

  /// Milliseconds with three decimals.
  private static func append(_ key: StaticString, milliseconds: TimeSpan, to json: inout JSONCursor) {
    appendKey(key, to: &json)
    let microseconds = UInt64(max(milliseconds.nanoseconds, 0)) / 1000
    json.append(decimal: microseconds / 1000)
    json.append(UInt8(ascii: "."))
    json.append(padded: Int(microseconds % 1000), digits: 3)
  }

  private static func append(_ key: StaticString, _ address: SocketAddress, to json: inout JSONCursor) {
    guard address.isIPv4 else { return append(key, address.description, to: &json) }
    appendKey(key, to: &json)
    json.append("\"")
    for shift: UInt32 in [24, 16, 8, 0] {
      json.append(decimal: UInt64(address.ipv4 >> shift & 255))
      json.append(shift == 0 ? UInt8(ascii: ":") : UInt8(ascii: "."))
    }
    json.append(decimal: UInt64(address.port))
    json.append("\"")
  }

  // MARK: - Numbers and times

  /// RFC 3339 in UTC with milliseconds.
  package static func appendTime(_ unixMilliseconds: Int64, to out: ByteQueue) {
    var json = JSONCursor(out.reserve(64).baseAddress.unsafelyUnwrapped)
    appendTime(unixMilliseconds, to: &json)
    out.commit(json.count)
  }

  private static func appendTime(_ unixMilliseconds: Int64, to json: inout JSONCursor) {
    let dayLength: Int64 = 86_400_000
    var days = unixMilliseconds / dayLength
    var rest = unixMilliseconds % dayLength
    if rest < 0 {
      days -= 1
      rest += dayLength
    }
    let date = civilDate(days)
    json.append(padded: date.year, digits: 4)
    json.append(UInt8(ascii: "-"))
    json.append(padded: date.month, digits: 2)
    json.append(UInt8(ascii: "-"))
    json.append(padded: date.day, digits: 2)
    json.append(UInt8(ascii: "T"))
    let time = Int(rest)
    json.append(padded: time / 3_600_000, digits: 2)
    json.append(UInt8(ascii: ":"))
    json.append(padded: time / 60_000 % 60, digits: 2)
    json.append(UInt8(ascii: ":"))
    json.append(padded: time / 1000 % 60, digits: 2)
    json.append(UInt8(ascii: "."))
    json.append(padded: time % 1000, digits: 3)
    json.append(UInt8(ascii: "Z"))
  }

  /// The Gregorian date of a day since 1970, by eras of 400 years that begin on the first of March.
  private static func civilDate(_ days: Int64) -> (year: Int, month: Int, day: Int) {
    let shifted = Int(days) + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
  }
}

extension MessageHead.Version {
  /// As it stands in a log.
  package var text: StaticString {
    switch self {
    case .http10: "HTTP/1.0"
    case .http11: "HTTP/1.1"
    case .http2: "HTTP/2"
    }
  }
}
