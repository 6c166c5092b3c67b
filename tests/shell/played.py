"""A Tasmota socket played by mosquitto_pub and mosquitto_sub alone: hand-written payloads, as firmware sends them."""

import subprocess
import threading
from datetime import UTC, datetime
from typing import IO

from controller.clock import HandClock
from tests.house import Broker, needs

MAC = "8CAAB5610E4B"
NAME = "tasmota_610E4B"
CONFIG = (
    '{"ip":"192.168.15.10","dn":"Shed 1","fn":["Shed 1",null,null,null,null,null,null,null],"hn":"tasmota-610E4B-3659",'
    f'"mac":"{MAC}","md":"Athom Plug V3","ty":0,"if":0,"ofln":"Offline","onln":"Online",'
    f'"state":["OFF","ON","TOGGLE","HOLD"],"sw":"13.4.0","t":"{NAME}","ft":"%prefix%/%topic%/",'
    '"tp":["cmnd","stat","tele"],"rl":[1,0,0,0,0,0,0,0],"swc":[-1,-1,-1,-1,-1,-1,-1,-1],'
    '"swn":[null,null,null,null,null,null,null,null],"btn":[0,0,0,0,0,0,0,0],'
    '"so":{"4":0,"11":0,"13":0,"17":0,"20":0,"30":0,"68":0,"73":0,"82":0,"114":0},"lk":0,"lt_st":0,"bat":0,"dslp":0,'
    '"sho":[],"sht":[],"ver":1}'
)
WORDS = {"0": "OFF", "1": "ON"}


class PlayedPlug:
    """One relay, one meter and a pulse timer on the test's clock. `commands` is all that came, as it stood there."""

    def __init__(self, broker: Broker, clock: HandClock) -> None:
        self.commands: list[tuple[str, str]] = []
        self.relay_on = False
        self.welded = False
        self.load_w = 0.0
        self.total_wh = 0.0
        self._clock = clock
        self._lock = threading.RLock()
        self._awake = threading.Event()
        self._pulse_code = 0
        self._until_s: float | None = None
        self._at = ["-h", broker.host, "-p", str(broker.port)]
        self._pub, sub = needs("mosquitto_pub"), needs("mosquitto_sub")
        self._ear = subprocess.Popen(
            [sub, *self._at, "-F", "%t %p", "-t", f"cmnd/{NAME}/#"], stdout=subprocess.PIPE, text=True
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    # -- its life -----------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Heard by its own ear first, or its first commands could be missed."""
        while not self._awake.wait(0.05):
            self.say(f"cmnd/{NAME}/Ear", "?")
        self.say(f"tasmota/discovery/{MAC}/config", CONFIG, retain=True)
        self.say(f"tasmota/discovery/{MAC}/sensors", '{"sn":' + self._sensor() + ',"ver":1}', retain=True)
        self.say(f"tele/{NAME}/LWT", "Online", retain=True)
        self.say(
            f"tele/{NAME}/INFO1",
            '{"Info1":{"Module":"Athom Plug V3","Version":"13.4.0(tasmota)","FallbackTopic":"cmnd/DVES_610E4B_fb/",'
            '"GroupTopic":"cmnd/tasmotas/"}}',
        )

    def beat(self, seconds: float) -> None:
        """Time passes: the timer may cut, the meter counts, and a SENSOR is sent."""
        with self._lock:
            drawn_w = self._drawn_w()
            self._clock.advance(seconds)
            self.total_wh += drawn_w * seconds / 3600
            if self._until_s is not None and self._clock.now().steady_s >= self._until_s:
                self._until_s = None
                self._switch(on=False)
            self.say(f"tele/{NAME}/SENSOR", self._sensor())

    def stop(self) -> None:
        self._ear.terminate()
        self._ear.wait(5)
        self._thread.join(5)

    # -- what it says -------------------------------------------------------------------------------------------------

    def say(self, topic: str, payload: str, retain: bool = False) -> None:
        """QoS 1, so that what one process sent is with the broker before the next begins."""
        kept = ["-r"] if retain else []
        subprocess.run([self._pub, *self._at, "-q", "1", "-t", topic, "-m", payload, *kept], check=True)

    def _answer(self, payload: str) -> None:
        self.say(f"stat/{NAME}/RESULT", payload)

    def _drawn_w(self) -> float:
        return self.load_w if self.relay_on or self.welded else 0.0

    def _sensor(self) -> str:
        drawn_w = self._drawn_w()
        return (
            f'{{"Time":"{self._time()}","ENERGY":{{"TotalStartTime":"2026-01-14T18:02:42",'
            f'"Total":{self.total_wh / 1000:.3f},"Yesterday":0.000,"Today":0.000,"Period":{drawn_w / 360:.2f},'
            f'"Power":{drawn_w:.2f},"ApparentPower":{drawn_w:.2f},"ReactivePower":0.00,"Factor":1.00,"Voltage":227.7,'
            f'"Current":{drawn_w / 227.7:.3f}}}}}'
        )

    def _state(self) -> str:
        return (
            f'{{"Time":"{self._time()}","Uptime":"0T00:03:14","UptimeSec":194,"Heap":183,"SleepMode":"Dynamic",'
            f'"Sleep":50,"LoadAvg":21,"MqttCount":1,"POWER":"{"ON" if self.relay_on else "OFF"}","Wifi":{{"AP":1,'
            '"SSId":"shed","BSSId":"18:E8:29:CA:17:C1","Channel":11,"Mode":"11n","RSSI":60,"Signal":-70,'
            '"LinkCount":1,"Downtime":"0T00:00:04"}}'
        )

    def _time(self) -> str:
        return datetime.fromtimestamp(self._clock.now().at, UTC).strftime("%Y-%m-%dT%H:%M:%S")

    # -- what it obeys ------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        assert self._ear.stdout is not None
        with self._ear.stdout as lines:
            self._hear(lines)

    def _hear(self, lines: IO[str]) -> None:
        for line in lines:
            topic, _, payload = line.rstrip("\n").partition(" ")
            command = topic.rsplit("/", 1)[1]
            if command == "Ear":
                self._awake.set()
                continue
            with self._lock:
                self._obey(command, payload)
                self.commands.append((topic, payload))

    def _obey(self, command: str, argument: str) -> None:
        name = command.lower()
        if name in ("backlog", "backlog0"):
            for part in argument.split(";"):
                inner, _, rest = part.strip().partition(" ")
                self._obey(inner, rest)
        elif name in ("power", "power1"):
            self._power(argument)
        elif name == "pulsetime1":
            self._pulse(argument)
        elif name == "status":
            self._status(argument)
        elif name in ("teleperiod", "powerdelta1", "poweronstate"):
            self._number(command, argument)
        elif name.startswith("setoption") or name == "powerretain":
            self._answer(f'{{"{command}":"{WORDS.get(argument, self._option(name))}"}}')
        else:
            self._answer('{"Command":"Unknown"}')

    def _number(self, command: str, argument: str) -> None:
        kept = {"teleperiod": 10, "powerdelta1": 105, "poweronstate": 0}
        self._answer(f'{{"{command}":{argument or kept[command.lower()]}}}')

    def _option(self, name: str) -> str:
        return "ON" if name in ("setoption21", "setoption114", "setoption129") else "OFF"

    def _power(self, argument: str) -> None:
        if argument.upper() in ("ON", "1"):
            self._switch(on=True)
        elif argument.upper() in ("OFF", "0"):
            self._switch(on=False)

    def _switch(self, on: bool) -> None:
        """ON starts the timer over, OFF clears it; the answer comes as JSON and as a plain word."""
        self.relay_on = on
        self._until_s = self._end_s() if on else None
        word = "ON" if on else "OFF"
        self._answer(f'{{"POWER":"{word}"}}')
        self.say(f"stat/{NAME}/POWER", word)

    def _end_s(self) -> float | None:
        if self._pulse_code == 0:
            return None
        seconds = self._pulse_code / 10 if self._pulse_code < 112 else self._pulse_code - 100
        return self._clock.now().steady_s + seconds

    def _pulse(self, argument: str) -> None:
        if argument:
            self._pulse_code = int(argument)
            self._until_s = self._end_s() if self.relay_on else None
        remaining = self._pulse_code if self._until_s is not None else 0
        self._answer(f'{{"PulseTime1":{{"Set":{self._pulse_code},"Remaining":{remaining}}}}}')

    def _status(self, argument: str) -> None:
        if argument == "10":
            self.say(f"stat/{NAME}/STATUS10", '{"StatusSNS":' + self._sensor() + "}")
        elif argument == "11":
            self.say(f"stat/{NAME}/STATUS11", '{"StatusSTS":' + self._state() + "}")
