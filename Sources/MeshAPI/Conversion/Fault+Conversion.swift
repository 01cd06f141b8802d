import MeshCore
import MeshPolicy
import SwiftProtobuf

extension FaultPolicy {
  init(_ message: Apus_V1_Fault, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.name, "name")
    try limits.check(message.clients.count, atMost: limits.maximumPairs, "clients")
    for client in message.clients { try limits.check(client, "clients") }
    try checkMillionths(message.millionths, "millionths")
    try checkMillionths(message.corruptMillionths, "corrupt_millionths")
    self.init(
      name: message.name, match: message.hasMatch ? try RouteMatch(message.match, limits: limits) : nil,
      clients: message.clients, millionths: message.millionths,
      delay: message.hasDelay ? try FaultDelay(message.delay, limits: limits) : nil,
      abort: message.hasAbort ? try FaultAbort(message.abort) : nil, isReset: message.reset,
      requestRate: message.requestBytesPerSecond == 0 ? nil : message.requestBytesPerSecond,
      responseRate: message.responseBytesPerSecond == 0 ? nil : message.responseBytesPerSecond,
      truncateAfter: message.hasTruncation ? message.truncation.afterBytes : nil,
      corruptMillionths: message.corruptMillionths == 0 ? nil : message.corruptMillionths,
      schedule: try FaultSchedule(message))
  }
}

private func checkMillionths(_ number: UInt32, _ field: String) throws(ConversionError) {
  guard number <= 1_000_000 else { throw ConversionError(field: field, problem: "\(number) is more than all") }
}

extension FaultDelay {
  init(_ message: Apus_V1_FaultDelay, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.points.count, atMost: limits.maximumPairs, "delay.points")
    guard !message.points.isEmpty else { throw ConversionError(field: "delay.points", problem: "empty") }
    var last: Point?
    self.init(
      points: try convertEach(message.points, "delay.points") { point throws(ConversionError) in
        try checkMillionths(point.quantileMillionths, "quantile_millionths")
        guard (0...3_600_000_000).contains(point.delayUs) else {
          throw ConversionError(field: "delay_us", problem: "\(point.delayUs) is not within 0 and an hour")
        }
        let next = Point(quantile: point.quantileMillionths, delay: .microseconds(point.delayUs))
        if let last, next.quantile <= last.quantile || next.delay < last.delay {
          throw ConversionError(field: "", problem: "does not ascend")
        }
        last = next
        return next
      })
  }
}

extension FaultAbort {
  init(_ message: Apus_V1_FaultAbort) throws(ConversionError) {
    guard message.status == 0 || (400...599).contains(message.status) else {
      throw ConversionError(field: "abort.status", problem: "\(message.status) is not within 400 and 599")
    }
    guard message.status != 0 || message.grpcStatus != 0 else {
      throw ConversionError(field: "abort", problem: "no status")
    }
    let status = message.status == 0 ? nil : UInt16(message.status)
    guard let abort = FaultAbort(status: status, grpcCode: message.grpcStatus) else {
      throw ConversionError(field: "abort.grpc_status", problem: "\(message.grpcStatus) is no status of gRPC")
    }
    self = abort
  }
}

extension FaultSchedule {
  fileprivate init(_ message: Apus_V1_Fault) throws(ConversionError) {
    var windows: Windows?
    if message.windowPeriodMs != 0 || message.windowLengthMs != 0 {
      guard (1...message.windowPeriodMs.clamped).contains(message.windowLengthMs), message.startMs != 0 else {
        throw ConversionError(field: "window_length_ms", problem: "not within 1 and the period, or without a start")
      }
      windows = Windows(period: message.windowPeriodMs, length: message.windowLengthMs)
    }
    // As much time as a date can be away from another, twice, without an overflow.
    for (field, time) in [("start_ms", message.startMs), ("end_ms", message.endMs)]
    where !(0...1 << 60).contains(time) {
      throw ConversionError(field: field, problem: "\(time) is no time")
    }
    self.init(
      start: message.startMs == 0 ? nil : message.startMs, end: message.endMs == 0 ? nil : message.endMs,
      windows: windows)
  }
}

extension Int64 {
  /// The upper end of a range that begins with 1.
  fileprivate var clamped: Int64 { Swift.max(self, 1) }
}

// MARK: - To the wire

extension Apus_V1_Fault {
  init(_ fault: FaultPolicy) {
    self.init()
    name = fault.name
    if let match = fault.match { self.match = Apus_V1_Match(match) }
    clients = fault.clients
    millionths = fault.millionths
    if let delay = fault.delay {
      self.delay.points = delay.points.map { point in
        var message = Apus_V1_FaultDelayPoint()
        message.quantileMillionths = point.quantile
        message.delayUs = point.delay.nanoseconds / 1000
        return message
      }
    }
    if let abort = fault.abort {
      self.abort.status = UInt32(abort.status ?? 0)
      self.abort.grpcStatus = abort.grpcCode
    }
    reset = fault.isReset
    requestBytesPerSecond = fault.requestRate ?? 0
    responseBytesPerSecond = fault.responseRate ?? 0
    if let bytes = fault.truncateAfter {
      var message = Apus_V1_FaultTruncation()
      message.afterBytes = bytes
      truncation = message
    }
    corruptMillionths = fault.corruptMillionths ?? 0
    startMs = fault.schedule.start ?? 0
    endMs = fault.schedule.end ?? 0
    windowPeriodMs = fault.schedule.windows?.period ?? 0
    windowLengthMs = fault.schedule.windows?.length ?? 0
  }
}
